"""Gradient descent on the logistic loss turns, ever more slowly, to the separator of the largest margin.

Lecture: statistics, "How can deep learning generalize well without overfitting the noise?".
Source: Soudry, Hoffer, Shpigel Nacson, Gunasekar and Srebro, The implicit bias of gradient descent on
separable data, JMLR 19, 2018; Nacson et al., Convergence of gradient descent on separable data, AISTATS 2019.

Digits 3 against 5, so few that a plane through the origin separates them, are learned by gradient descent
from zero, without regularization and in double precision. The separator of the largest margin γ is found
apart, with a certificate, and what the theory says of norm, loss and angle is fitted from step 1,000 on. More
digits have a smaller margin, and then a million steps do not come to where these laws hold. Normalized
descent, whose steps have one length, is run for a hundredth of the steps. Each draw has digits of its own,
and its validation digits are the 3s and 5s of its test set. The full form takes about a minute.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.data import mnist
from jaxtheory.lab import (
    Claim,
    Lab,
    Need,
    Range,
    at_least,
    at_most,
    between,
    equal_to,
    experiment,
    mean,
    plots,
)
from jaxtheory.statistics import implicit_bias

CLASSES = (3, 5)
FIRST = 1000
"""The step from which the laws are fitted."""
HUNDREDTH = 100
"""The factor by which normalized descent takes fewer steps."""
LENGTH = 0.1
"""The length of a step of normalized descent; the longest digit is about ten times as long as the margin."""
A_DECADE = 20
"""The number of steps in a factor of ten of time at which weights are looked at."""
SOUDRY = "Soudry et al. 2018"


@dataclass(frozen=True)
class Config:
    digits: Annotated[int, Range(20, 600)] = 200
    """Number of training digits, 3s and 5s."""
    steps: Annotated[int, Range(10_000)] = 1_000_000
    """Number of steps of gradient descent."""
    draws: Annotated[int, Range(1)] = 5
    """Number of draws of digits; the 5,000 embedded digits have five."""


QUICK = Config(steps=300_000, draws=3)


def chosen(images: np.ndarray, labels: np.ndarray, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first digits of the two classes as vectors in double precision, with labels 0 and 1."""
    of_classes = np.flatnonzero(np.isin(labels, CLASSES))[:most]
    vectors = images[of_classes].reshape(len(of_classes), -1).astype(np.float64)
    return vectors, (labels[of_classes] == CLASSES[1]).astype(np.int32)


def moments(steps: int) -> np.ndarray:
    """Numbers of steps from 1 on that grow by equal factors, up to rounding."""
    decades = np.log10(steps)
    return np.unique(np.round(np.logspace(0, decades, int(A_DECADE * decades) + 1)).astype(np.int64))


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The slope of the least-squares line, and its R²."""
    slope, start = np.polyfit(x, y, 1)
    return float(slope), float(1 - np.var(y - slope * x - start) / np.var(y))


def laws(times: np.ndarray, found: dict[str, np.ndarray], margin: float) -> dict[str, float]:
    """The slopes and R² of what the theory says are lines, from step `FIRST` on."""
    later = times >= FIRST
    logarithm = np.log(times[later])
    norm, deviation, log_loss = (found[name][later] for name in ("norm", "deviation", "log_loss"))
    slope, fit = line(logarithm, norm)
    return {
        "norm slope": slope * margin,
        "norm fit": fit,
        "loss slope": line(logarithm, log_loss)[0],
        "angle fit": line(logarithm, deviation**-0.5)[1],
        "naive slope": line(np.log(logarithm), np.log(deviation))[0],
    }


def validated(log_loss: np.ndarray, errors: np.ndarray, number: int) -> dict[str, float]:
    """How much validation loss and error change from where the loss is least to the end."""
    least = int(np.argmin(log_loss))
    share = (number * errors[least] + 2) / (number + 4)
    return {
        "loss ratio": float(np.exp(log_loss[-1] - log_loss[least])),
        "error change": abs(errors[-1] - errors[least]) / np.sqrt(share * (1 - share) / number),
    }


def followed(split: mnist.Split, config: Config) -> dict[str, Any]:
    """Both descents on the digits of a draw, the separator, and what the theory says of them."""
    x, y = chosen(split.train_images, split.train_labels, config.digits)
    queries, answers = chosen(split.test_images, split.test_labels)
    times, few = moments(config.steps), moments(max(FIRST, config.steps // HUNDREDTH))
    with jax.enable_x64(True):
        separator = jax.tree.map(np.asarray, implicit_bias.max_margin(x, y))
        curvature = np.linalg.eigvalsh(x @ x.T)[-1]
        start = np.zeros(x.shape[1])
        # The inverse of the largest curvature that the loss can have.
        weights = implicit_bias.gradient_descent(start, x, y, times=times, rate=4 * len(x) / curvature)
        straight = implicit_bias.gradient_descent(start, x, y, times=few, rate=LENGTH, normalized=True)
        found, fast, held = (
            {name: np.asarray(one) for name, one in vars(implicit_bias.progress(*each)).items()}
            for each in (
                (weights, x, y, separator.direction),
                (straight, x, y, separator.direction),
                (weights, queries, answers, separator.direction),
            )
        )
        signs = 2 * answers - 1
        errors = np.mean(np.asarray(weights) @ queries.T * signs <= 0, axis=1)
    margin, bound = float(separator.margin), float(separator.bound)
    arrived = np.flatnonzero(fast["deviation"] <= found["deviation"][-1])
    arrival = few[arrived[0]] / config.steps if len(arrived) else np.nan
    return {
        **found,
        "fast deviation": fast["deviation"],
        "validation loss": np.exp(held["log_loss"]),
        "validation error": 100 * errors,
        "largest margin": margin,
        "duality gap": (bound - margin) / bound,
        "residual": float(separator.residual),
        "separable": bool(separator.separable),
        "supports": int(np.sum(separator.coefficients > 1e-6)),
        "arrival": arrival,
        **laws(times, found, margin),
        **validated(held["log_loss"], errors, len(answers)),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    draws = min(config.draws, mnist.FOLDS) if digits.embedded else config.draws

    def of_draw(draw: int, rng: np.random.Generator) -> dict[str, Any]:
        split = digits.draw(len(digits.train_labels), rng, fold=draw if digits.embedded else 0)
        return followed(split, config)

    along = ("norm", "margin", "gap", "deviation", "log_loss", "validation loss", "validation error")
    dims = dict.fromkeys(along, ("step",)) | {"fast deviation": ("few",)}
    found = lab.sweep("descent", of_draw, draw=range(draws), dims=dims)
    few = moments(max(FIRST, config.steps // HUNDREDTH))
    found = found.assign_coords(step=moments(config.steps), few=few)
    notes(found, lab)
    lab.figure(
        "laws",
        plot_laws(found),
        "Norm, loss, angle and margin along gradient descent, mean over the draws. Dashed: what the theory "
        f"says, through the values at step {FIRST:,}.",
    )
    lab.figure(
        "validation",
        plot_validation(found),
        "The loss of validation digits grows with the weights, while their error stays where it is.",
    )
    return claims(found, digits.shared)


def claims(found: xr.Dataset, shared: float) -> list[Claim]:
    separable = Need("separable digits", bool(found["separable"].all()), "take fewer, as --digits")
    arrived = Need(
        "an angle that normalized descent reaches",
        bool(np.isfinite(found["arrival"]).all()),
        "take more --steps, of which it gets a hundredth",
    )

    def measured(name: str) -> Any:
        return mean(found[name], over="draw", overlap=shared)

    return [
        Claim(
            "The digits are separable, and the separator is that of the largest margin: the relative gap "
            "between its margin and the bound on all margins.",
            at_most(1e-9, source="duality; the bar is this project's"),
            measured("duality gap"),
            needs=separable,
        ),
        Claim(
            f"The norm of the weights is affine in log t from step {FIRST:,} on: R².",
            at_least(0.999, source=f"{SOUDRY}; the bar is this project's"),
            measured("norm fit"),
            needs=separable,
        ),
        Claim(
            "It grows like log t / γ: its slope times the largest margin.",
            between(0.9, 1.05, source=f"{SOUDRY}; the band is this project's"),
            measured("norm slope"),
            needs=separable,
        ),
        Claim(
            "The training loss falls like 1/t: the slope in logarithms.",
            equal_to(-1, tolerance=0.05, source=f"{SOUDRY}; the tolerance is this project's"),
            measured("loss slope"),
            needs=separable,
        ),
        Claim(
            "The angle falls like 1/log t: (1 - cos)^(-1/2) is affine in log t, R².",
            at_least(0.99, source=f"{SOUDRY}; the bar is this project's"),
            measured("angle fit"),
            needs=separable,
        ),
        Claim(
            "The validation loss rises again: its value at the end over its least value.",
            at_least(1.5, unit="times", source=f"{SOUDRY}, on CIFAR-10; the factor is this project's"),
            measured("loss ratio"),
            needs=separable,
        ),
        Claim(
            "Meanwhile the validation error stays: how much it changes, in its standard errors.",
            at_most(2, unit="standard errors", source=f"{SOUDRY}, on CIFAR-10; the bar is this project's"),
            measured("error change"),
            needs=separable,
        ),
        Claim(
            "Normalized descent comes as close to the direction of the separator in a hundredth of the "
            "steps: the share of them that it takes.",
            at_most(0.01, source="Nacson et al. 2019; the hundredth is this project's"),
            measured("arrival"),
            needs=(separable, arrived),
        ),
    ]


def notes(found: xr.Dataset, lab: Lab) -> None:
    """Notes for the findings: margins and certificates, and figures that have no bar."""
    lab.note(
        f"The largest margins are {found['largest margin'].min():.3f} to {found['largest margin'].max():.3f} "
        f"with {found['supports'].min():.0f} to {found['supports'].max():.0f} support vectors; the KKT "
        f"residuals are at most {found['residual'].max():.0e}."
    )
    last, least = found["validation loss"].isel(step=-1).mean(), found["validation loss"].min("step").mean()
    error = found["validation error"].mean("draw")
    lab.note(
        f"The validation loss ends at {last:.3f}, its least value is {least:.3f} (means over the draws); "
        f"the validation error ends at {error[-1]:.1f} %. At the end the margin is "
        f"{100 * (found['margin'].isel(step=-1) / found['largest margin']).mean():.0f} % of the largest."
    )
    lab.note(
        f"The slope of log(1 - cos) in log log t, whose limit is -2, is {found['naive slope'].mean():.2f}."
    )


def through(values: xr.DataArray, law: xr.DataArray) -> xr.DataArray:
    """A law from step `FIRST` on, shifted to the mean value there."""
    later = values.mean("draw").sel(step=slice(FIRST, None))
    law = law.sel(step=slice(FIRST, None))
    return law + later.isel(step=0, drop=True) - law.isel(step=0, drop=True)


def plot_laws(found: xr.Dataset) -> Figure:
    figure, panels = plots.canvas(2, 2)
    t = found["step"].astype(float)
    inverse_margin = (1 / found["largest margin"]).mean("draw")
    log_loss = found["log_loss"]
    inverse = found["deviation"] ** -0.5
    later = inverse.mean("draw").sel(step=slice(FIRST, None))
    slope, _ = line(np.log(later["step"].values), later.values)
    shown = (
        (found["norm"], through(found["norm"], np.log(t) * inverse_margin), "|w|", "log t / γ"),
        (log_loss / np.log(10), through(log_loss / np.log(10), -np.log10(t)), "log10 of the loss", "1 / t"),
        (inverse, through(inverse, slope * np.log(t)), "(1 - cos)^(-1/2)", "affine in log t"),
        (found["margin"] / found["largest margin"], None, "margin / γ", ""),
    )
    for axes, (values, law, label, name) in zip(panels.flat, shown):
        beside = {name: law} if name else None
        plots.panel(
            values, x="step", over="draw", spread="each", beside=beside, log="x", ylabel=label, axes=axes
        )
    panels[1, 1].set_ylim(-1, 1.05)
    return figure


def plot_validation(found: xr.Dataset) -> Figure:
    figure, (panels,) = plots.canvas(3)
    options = {"x": "step", "over": "draw", "spread": "each", "log": "x"}
    plots.panel(found["validation loss"], ylabel="validation loss", axes=panels[0], **options)
    plots.panel(found["validation error"], ylabel="validation error, %", axes=panels[1], **options)
    deviation = found["fast deviation"].rename(few="step")
    both = xr.concat([found["deviation"], deviation], "descent", join="outer")
    both = both.assign_coords(descent=["gradient", "normalized"])
    options = options | {"log": "xy", "hue": "descent"}
    plots.panel(both, ylabel="1 - cos", axes=panels[2], **options)
    return figure
