"""Margins tell true labels from random ones once they are counted in units of the spectral complexity.

Lecture: statistics, "How can deep learning generalize well without overfitting the noise?".
Source: Bartlett, Foster and Telgarsky, Spectrally-normalized margin bounds for neural networks, NIPS 2017.

Perceptrons without biases learn digits of whose labels a share was replaced by random ones. All stop when the
training loss is down to the same value, so that their raw margins are alike; those with more random labels
have needed larger weights. (2,1) norms are measured from the weights at the start, and from zero as well. The
networks of a draw share digits and starting weights. The bound is taken at its best margin. The full form
takes about three minutes on two cores.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure
from scipy import stats

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, above, at_least, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP
from jaxtheory.statistics import capacity, margins

RATE = 1e-3
"""Adam's step size."""
REFERENCES = ("the start", "zero")
"""From where (2,1) norms are measured."""
QUANTILES = np.arange(1, 100) / 100
"""The quantiles of the margins that are kept; the bound is taken at the best of these margins."""
PAPER = "Bartlett et al. 2017, figure 2: normalized, margins show that random labels are harder"
OURS = f"{PAPER}; the bar is this project's"
ALIKE = "Bartlett et al. 2017, section 1.1: margins alone are similar with and without random labels"
COMPLEX = "Bartlett et al. 2017, abstract: complexity scales with the difficulty of the task; the bar is ours"


@dataclass(frozen=True)
class Config:
    digits: Annotated[int, Range(100, 4000)] = 2000
    """The number of training digits."""
    widths: Annotated[tuple[int, ...], Range(1)] = (512,)
    """The numbers of units of the hidden layers."""
    shares: Annotated[tuple[float, ...], Range(0, 1)] = (0.0, 0.25, 0.5, 1.0)
    """The shares of labels that are replaced by random ones."""
    draws: Annotated[int, Range(2)] = 10
    """The number of draws of digits, labels and networks."""
    loss: Annotated[float, Range(0, open=True)] = 0.01
    """The training loss at which all networks stop."""
    most_epochs: Annotated[int, Range(1)] = 1000
    """The largest number of epochs."""
    batch: Annotated[int, Range(1, 100)] = 100
    """The number of digits in a training step."""


QUICK = Config(digits=500, widths=(128,), draws=4)


@cache
def network(widths: tuple[int, ...]) -> tuple[networks.bridge.Functional, Any]:
    """A perceptron of digits without biases, and the plain function of its logits."""
    functional = networks.functional(partial(MLP, (mnist.SIDE**2, *widths, mnist.CLASSES), bias=False))
    return functional, training.predictor(functional.apply)


@partial(jax.jit, static_argnames="config")
def trained(data: Any, key: jax.Array, *, config: Config) -> dict[str, Any]:
    """Weights at the start and when the loss has come down, with the loss and the epochs that it took."""
    functional, _ = network(config.widths)
    loss = training.loss(functional.apply, training.cross_entropy)
    options = {
        "objective": training.objective(functional.apply, training.cross_entropy),
        "optimizer": optax.adam(RATE),
    }
    first, second = jax.random.split(key)
    start, _ = functional.init(first)

    def goes_on(carry: Any) -> jax.Array:
        _, reached, epochs = carry
        return (reached > config.loss) & (epochs < config.most_epochs)

    def epoch(carry: Any) -> Any:
        state, _, epochs = carry
        steps = len(data[1]) // config.batch
        state, _ = training.run(state, data, steps=steps, batch=config.batch, **options)
        return state, loss(state.params, data), epochs + 1

    begin = training.init(start, second, optimizer=options["optimizer"])
    state, reached, epochs = jax.lax.while_loop(goes_on, epoch, (begin, jnp.inf, 0))
    return {"start": start, "end": state.params, "loss": reached, "epochs": epochs}


@jax.jit
def best_bound(values: jax.Array, norms: margins.LayerNorms, size: jax.Array) -> jax.Array:
    """The bound at the best of the quantiles of the margins, those that are positive."""
    chosen = jnp.maximum(jnp.quantile(values, QUANTILES), 1e-6)
    return jax.vmap(lambda margin: margins.bound(values, norms, size, margin=margin).value)(chosen).min()


def measured(config: Config, digits: mnist.Digits, lab: Lab, share: float, draw: int) -> dict[str, Any]:
    """Margins, norms and bound of a network whose labels are in part random."""
    split = digits.draw(config.digits, lab.rng("digits", draw=draw), fold=draw % mnist.FOLDS)
    x, test = (jnp.asarray(one.reshape(len(one), -1)) for one in (split.train_images, split.test_images))
    key = lab.key("labels", draw=draw)
    y = capacity.random_labels(jnp.asarray(split.train_labels), key, classes=mnist.CLASSES, share=share)
    found = trained((x, y), lab.key("network", draw=draw), config=config)
    logits, size = network(config.widths)[1], jnp.linalg.norm(x)
    values = margins.raw(logits, found["end"], x, y)
    errors = 100 * np.mean(np.argmax(logits(found["end"], test), 1) != split.test_labels)
    result = {
        "raw": np.quantile(values, QUANTILES),
        "test error": errors,
        "loss": float(found["loss"]),
        "epochs": float(found["epochs"]),
    }
    parts: dict[str, list[Any]] = {"normalized": [], "complexity": [], "bound": []}
    for reference in (found["start"], None):
        norms = margins.dense_norms(found["end"], reference=reference)
        shown = margins.normalized(logits, found["end"], x, y, norms=norms)
        parts["normalized"].append(np.quantile(shown, QUANTILES))
        parts["complexity"].append(float(margins.spectral_complexity(norms)))
        parts["bound"].append(float(best_bound(values, norms, size)))
    return result | {name: np.array(one) for name, one in parts.items()}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    found = lab.sweep(
        "margins", partial(measured, config, digits, lab), share=config.shares, draw=range(config.draws),
        dims={"raw": ("quantile",), "normalized": ("reference", "quantile")}
        | dict.fromkeys(("complexity", "bound"), ("reference",)),
    ).assign_coords(quantile=QUANTILES, reference=list(REFERENCES))  # fmt: skip
    notes(config, found, lab)
    figures(found, lab)
    return claims(config, found, digits.shared)


def ranked(one: xr.DataArray) -> Measured:
    """Spearman's correlation of values with the share of random labels, over all networks, with its interval.

    The interval is Fisher's with the variance of Bonett and Wright (2000).
    """
    values = one.transpose("share", "draw").values
    shares = np.repeat(one.share.values, one.sizes["draw"])
    found = stats.spearmanr(shares, values.ravel()).statistic
    half = stats.norm.ppf(0.975) * np.sqrt((1 + found**2 / 2) / (values.size - 3))
    # A correlation of 1 has no transform.
    middle = np.arctanh(np.clip(found, -1 + 1e-9, 1 - 1e-9))
    ends = np.tanh([middle - half, middle + half])
    at = {"reference": one.reference.item()}
    return Measured(found, interval=tuple(ends), n=values.size, at=at, of="networks")


def claims(config: Config, found: xr.Dataset, overlap: float) -> list[Claim]:
    stopped = Need(
        f"networks that reach a loss of {config.loss:g}",
        bool((found.loss <= config.loss).all()),
        "raise --most_epochs",
    )
    ends = Need("shares of 0 and 1", {0.0, 1.0} <= set(config.shares), "take both among --shares")
    between = Need("four shares", len(config.shares) >= 4, "take more --shares")
    options = {"over": "draw", "paired": True, "overlap": overlap}
    rows: dict[str, Any] = dict.fromkeys(("tenth", "ratio", "falls", "rises", "bound"))
    if ends.met and stopped.met:
        true, noise = (found.sel(share=share, drop=True) for share in (0.0, 1.0))
        tenth, median = {"quantile": 0.1, "method": "nearest"}, {"quantile": 0.5, "method": "nearest"}
        rows["tenth"] = mean((noise.raw - true.raw).sel(**tenth, drop=True), **options)
        ratio = (true.normalized / noise.normalized).sel(**median, drop=True)
        rows["ratio"] = mean(ratio.sel(reference=REFERENCES[0]), **options)
    if between.met and stopped.met:
        ordered = found.sortby("share")
        middle = np.log(ordered.normalized.sel(reference=REFERENCES[0], drop=True))
        middle = middle.sel(quantile=0.5, method="nearest", drop=True)
        rows["falls"] = mean(-middle.diff("share"), **options)
        rows["rises"] = [ranked(found.complexity.sel(reference=one)) for one in REFERENCES]
    rows["bound"] = mean(found.bound.min("share"), over="draw", overlap=overlap)
    return [
        Claim(
            "Raw margins do not tell: the 10 % quantile for random labels is not smaller than for true ones, "
            "the difference.",
            at_least(0, source=ALIKE, looked_up=True),
            rows["tenth"],
            (stopped, ends),
        ),
        Claim(
            "Normalized margins do: their median for true labels over that for random ones, with (2,1) norms "
            "from the start.",
            at_least(3, unit="times", source=OURS, looked_up=True),
            rows["ratio"],
            (stopped, ends),
        ),
        Claim(
            "It falls as the share of random labels grows: the logarithm, from each share to the next.",
            above(0, source=PAPER, looked_up=True),
            rows["falls"],
            (stopped, between),
        ),
        Claim(
            "The spectral complexity rises with the share of random labels: rank correlation over all "
            "networks.",
            at_least(0.8, source=COMPLEX, looked_up=True),
            rows["rises"],
            (stopped, between),
        ),
        Claim(
            "The bound itself is vacuous: its value, the least of the shares and over all margins.",
            above(1, source="a probability is at most 1"),
            rows["bound"],
        ),
    ]


def notes(config: Config, found: xr.Dataset, lab: Lab) -> None:
    """Notes for the findings: what each share of random labels led to, on average over the draws."""
    width = max(mnist.SIDE**2, *config.widths)
    for share in found.share.values:
        one = found.sel(share=share).mean("draw")
        low, middle = (float(one.raw.sel(quantile=q, method="nearest")) for q in (0.1, 0.5))
        shown = one.normalized.sel(quantile=0.5, method="nearest").values
        main = np.log(width) / one.normalized.sel(quantile=0.1, method="nearest").values
        lab.note(
            f"Share {share:g}: {float(one.epochs):.0f} epochs to a loss of {float(one.loss):.4f}, test error "
            f"{float(one['test error']):.1f} %, raw margins {low:.2f} (10 %) and {middle:.2f} (median). From "
            f"the start (from zero), the median normalized margin is {shown[0]:.2g} ({shown[1]:.2g}), the "
            f"complexity {float(one.complexity[0]):,.0f} ({float(one.complexity[1]):,.0f}), the bound "
            f"{float(one.bound[0]):,.0f} ({float(one.bound[1]):,.0f}); its main term without constants, "
            f"‖X‖ R ln W / (γ n) at the 10 % quantile, is {main[0]:.0f} ({main[1]:.0f})."
        )


def figures(found: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    lab.figure(
        "margins",
        distributions(found),
        "Distributions of the margins of training digits, raw and normalized, by the share of random labels. "
        "Thin lines: draws.",
    )
    figure, (panels,) = plots.canvas(2)
    complexity = found.complexity.rename("spectral complexity")
    options = {"x": "share", "over": "draw", "spread": "each", "xlabel": "share of random labels"}
    plots.panel(complexity, hue="reference", axes=panels[0], **options)
    plots.panel(found["test error"].assign_attrs(unit="%"), axes=panels[1], **options)
    lab.figure("complexity", figure, "The spectral complexity and the test error by the same share.")


def distributions(found: xr.Dataset) -> Figure:
    """The distribution functions of both kinds of margins."""
    figure, (panels,) = plots.canvas(2)
    normalized = found.normalized.sel(reference=REFERENCES[0])
    for ax, values, name in zip(panels, (found.raw, normalized), ("margin", "normalized margin")):
        for share, color in plots.colors_of(list(found.share.values)).items():
            one = values.sel(share=share)
            lines = one.transpose("quantile", "draw").values
            ax.plot(lines, 100 * QUANTILES, color=color, lw=0.5, alpha=0.4)
            ax.plot(one.mean("draw"), 100 * QUANTILES, color=color, label=f"{100 * share:g} % random")
        ax.set(xlabel=name, ylabel="digits with a smaller one (%)")
        ax.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    return figure
