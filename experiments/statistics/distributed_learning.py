"""Averaging m regressions on parts of the data is as good as one on all of them, up to m about a root of N.

Lecture: mathematics of deep learning, "Distributed learning".
Source: Zhang, Duchi and Wainwright, Divide and conquer kernel ridge regression, JMLR 16, 2015; Lin, Guo and
Zhou, Distributed learning with regularized least squares, JMLR 18, 2017.

Kernel ridge regression is fitted to each of m parts of N examples with the penalty λ that is right for N, and
the functions are averaged. First the setting of Zhang, Duchi and Wainwright: f(x) = min(x, 1 - x) on [0, 1],
noise of variance 1/5, the kernel 1 + min(x, z), λ = N^(-2/3); m* is where the mean squared error is 1.25
times that of one machine. Then digits with a Gaussian kernel. Then the rates of Lin, Guo and Zhou on the
circle, where the kernel's eigenvalues are known: 1, and 10/k² twice, so that their α is 1; the function is
the r-th power of the kernel's operator applied to one whose coefficients fall like k^-0.55, and the penalty
and the number of parts are those of their theorem. The full form takes about ten minutes on two cores.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.sharding import Mesh

from jaxtheory.data import mnist
from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    at_least,
    at_most,
    below,
    between,
    exact,
    experiment,
    mean,
    plots,
)
from jaxtheory.statistics import kernel_regression

NOISE = 1 / 5
"""The variance of the noise."""
EXCESS = 1.25
"""The mean squared error at m*, over that of one machine."""
GRID = (np.arange(1000) + 0.5) / 1000
"""The equally spaced points at which functions are compared."""
SMALLEST, ROOTS = 4, 4
"""The smallest number of examples in a part, and the largest number of parts over the root of N."""
TIMED = 500
"""The number of examples from which the time of a part is told."""
EIGENVALUE = 10
"""The kernel's eigenvalues on the circle, times the squared frequency."""
DECAY = 0.55
"""The exponent with which coefficients fall: just enough for their squares to have a sum."""
FREQUENCIES = 2000
"""The number of terms of a function on the circle."""
SMOOTHNESS = (0.5, 0.75, 1.0)
"""The values of r: the power of the operator that makes the function."""
DEVICES = 8
ZDW, LGZ = "Zhang, Duchi and Wainwright 2015", "Lin, Guo and Zhou 2017"


@dataclass(frozen=True)
class Config:
    sizes: Annotated[tuple[int, ...], Range(16)] = (256, 512, 1024, 2048, 4096, 8192)
    """Numbers N of examples."""
    draws: Annotated[int, Range(2)] = 20
    """Number of draws of examples and noise."""
    digits: Annotated[int, Range(64, 4000)] = 4000
    """Number of training digits."""
    bandwidth: Annotated[float, Range(0, open=True)] = 5.0
    """Bandwidth of the Gaussian kernel, in pixels from 0 to 1."""
    penalty: Annotated[float, Range(0, open=True)] = 1e-5
    """Penalty of the regressions on digits."""
    folds: Annotated[int, Range(2, 5)] = 5
    """Number of draws of digits, each tested on digits of its own."""
    repeats: Annotated[int, Range(2)] = 5
    """How often the time of each part is taken."""


QUICK = Config(sizes=(256, 512, 1024), draws=20, digits=500, folds=2, repeats=2)


def first_sobolev(x: Any, y: Any) -> Any:
    """The kernel 1 + min(x, y) of functions with one derivative on [0, 1]."""
    return 1 + jnp.minimum(x, y.T)


def periodic(x: Any, y: Any) -> Any:
    """The kernel on the circle with the eigenvalues 1, and 10/k² for cosines and sines of frequency k."""
    apart = (x - y.T) % 1.0
    return 1 + 2 * np.pi**2 * EIGENVALUE * (apart**2 - apart + 1 / 6)


def tent(x: np.ndarray) -> np.ndarray:
    return np.minimum(x, 1 - x)


def smooth(x: np.ndarray, r: float) -> np.ndarray:
    """The r-th power of the operator of `periodic`, applied to a function of norm 1."""
    k = np.arange(1, FREQUENCIES + 1)
    coefficients = k**-DECAY / np.linalg.norm(k**-DECAY) * (EIGENVALUE / k**2.0) ** r
    # All frequencies at once by Horner's rule for the powers of exp(2 pi i x).
    turn = np.exp(2j * np.pi * x)
    total = np.zeros_like(turn)
    for one in coefficients[::-1]:
        total = (total + one) * turn
    return np.sqrt(2) * total.real


def parts_of(size: int) -> list[int]:
    """Powers of two, as long as a part has enough examples, up to four roots of N."""
    return [2**k for k in range(min(size // SMALLEST, int(ROOTS * size**0.5)).bit_length())]


def admissible(r: float, size: int) -> int:
    """The number of parts that Lin, Guo and Zhou's theorem allows, for eigenvalues like k^-2."""
    exponent = min((6 * (2 * r - 1) + 1) / (5 * (4 * r + 1)), 2 * (2 * r - 1) / (4 * r + 1))
    return max(1, int(size**exponent))


def squared_errors(
    kernel: Any,
    function: Callable[..., Any],
    rng: np.random.Generator,
    size: int,
    parts: list[int],
    rate: Any,
) -> np.ndarray:
    """The mean squared error of the average over parts, for several numbers of them and the same examples."""
    x = rng.random(size)
    y = function(x) + np.sqrt(NOISE) * rng.standard_normal(size)
    with jax.enable_x64(True):
        models = [kernel_regression.distributed(kernel, x[:, None], y, float(size) ** rate, m) for m in parts]
        found = np.asarray(kernel(GRID[:, None], x[:, None])) @ np.stack(
            [model.coefficients for model in models], axis=1
        )
    return np.mean((found - function(GRID)[:, None]) ** 2, axis=0)


def tolerated(ratios: np.ndarray, parts: np.ndarray) -> float:
    """Where the error's ratio to that of one machine first reaches 1.25, between numbers of parts in logs."""
    beyond = np.flatnonzero(ratios >= EXCESS)
    if not len(beyond) or beyond[0] == 0:
        return np.nan
    place = slice(beyond[0] - 1, beyond[0] + 1)
    return float(np.exp(np.interp(np.log(EXCESS), np.log(ratios[place]), np.log(parts[place]))))


def most_parts(errors: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """The number m* for errors (sizes, parts, draws), of their means."""
    means = errors.mean(axis=-1)
    return np.array([tolerated(row[np.isfinite(row)] / row[0], parts[np.isfinite(row)]) for row in means])


def slope(values: np.ndarray, sizes: tuple[int, ...]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def is_wide(config: Config) -> bool:
    """Whether numbers of examples span enough for an exponent."""
    return max(config.sizes) >= 16 * min(config.sizes)


def timed_sizes(config: Config) -> list[int]:
    return [size for size in config.sizes if size >= TIMED]


def jackknife(statistic: Callable[[np.ndarray], float], errors: np.ndarray) -> Measured:
    """A statistic of all draws, which are the last axis, with its error from leaving each out in turn."""
    n = errors.shape[-1]
    left = np.array([statistic(np.delete(errors, draw, axis=-1)) for draw in range(n)])
    return Measured(statistic(errors), np.sqrt((n - 1) * left.var()), n)


def on_devices(count: int) -> float:
    """The largest difference that parts on several devices make, over the largest value; one draw."""
    rng = np.random.default_rng(0)
    x = rng.random((40 * count + 3, 1), np.float32)
    y = np.float32(tent(x[:, 0]) + np.sqrt(NOISE) * rng.standard_normal(len(x)))
    penalty = len(x) ** (-2 / 3)
    mesh = Mesh(np.array(jax.devices()[:count]), ("parts",))
    model = kernel_regression.distributed(first_sobolev, x, y, penalty, 2 * count, mesh=mesh)
    queries = np.float32(GRID[:, None])
    ends = len(x) * np.arange(2 * count + 1) // (2 * count)
    alone = [
        kernel_regression.predict(kernel_regression.fit(first_sobolev, x[i:j], y[i:j], penalty), queries)
        for i, j in pairwise(ends)
    ]
    loop = np.mean(alone, axis=0)
    return float(np.abs(kernel_regression.predict(model, queries) - loop).max() / np.abs(loop).max())


def in_a_process() -> np.ndarray:
    """`on_devices` where a processor shows itself as eight devices, which is settled at the start of one."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={DEVICES}"
    code = f"from {__name__} import on_devices; print(on_devices({DEVICES}))"
    settings = {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(  # noqa: S603 - this very module
        [sys.executable, "-c", code], env=os.environ | settings, check=True, capture_output=True, text=True
    )
    return np.array(json.loads(told.stdout))


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    parts = np.array(parts_of(max(config.sizes)))

    def tents(size: int, rng: np.random.Generator) -> np.ndarray:
        found = squared_errors(first_sobolev, tent, rng, size, parts_of(size), -2 / 3)
        return np.pad(found, (0, len(parts) - len(found)), constant_values=np.nan)

    def circle(r: float, size: int, rng: np.random.Generator) -> float:
        few = [1 if r == min(SMOOTHNESS) else admissible(r, size)]
        return squared_errors(periodic, lambda x: smooth(x, r), rng, size, few, -2 / (4 * r + 1))[0]

    draws = {"size": config.sizes, "draw": range(config.draws)}
    errors = lab.sweep("mean squared error", tents, dims=("parts",), **draws).assign_coords(parts=parts)
    rates = lab.sweep("error on the circle", circle, r=SMOOTHNESS, **draws)
    digits = lab.load(mnist)
    counts = parts_of(config.digits)
    of_digits = lab.sweep(
        "digits",
        lambda draw: digit_errors(config, digits, lab, counts, draw),
        dims=("parts",),
        draw=range(config.folds),
    ).assign_coords(parts=counts)
    timed = timed_sizes(config)
    seconds = None
    if is_wide(config) and len(timed) > 1:
        seconds = lab.sweep("seconds", part_seconds, size=timed, draw=range(config.repeats))
    devices = float(lab.cached("devices", in_a_process))
    show(config, lab, errors, rates, of_digits)
    return claims(config, errors, rates, of_digits, digits.shared, seconds, devices)


def digit_errors(config: Config, digits: Any, lab: Lab, counts: list[int], draw: int) -> np.ndarray:
    """The mean squared errors, summed over the outputs, for several numbers of parts."""
    split = digits.draw(config.digits, lab.rng("digits", draw=draw), fold=draw)
    x, queries = (images.reshape(len(images), -1) for images in (split.train_images, split.test_images))
    kernel = kernel_regression.gaussian(config.bandwidth)
    with jax.enable_x64(True):
        x, queries, targets = x.astype(float), queries.astype(float), np.eye(10)
        coefficients = [
            kernel_regression.distributed(
                kernel, x, targets[split.train_labels], config.penalty, m
            ).coefficients
            for m in counts
        ]
        values = np.einsum("qn,mno->mqo", kernel(queries, x), np.stack(coefficients), optimize=True)
    return ((values - targets[split.test_labels]) ** 2).sum(axis=-1).mean(axis=-1)


def part_seconds(size: int, rng: np.random.Generator) -> float:
    """How long one machine takes for its part, once the program is compiled: the best of three times."""
    x, y = rng.random((size, 1)), rng.standard_normal(size)
    taken = []
    with jax.enable_x64(True):
        for _ in range(4):
            start = time.perf_counter()
            jax.block_until_ready(kernel_regression.fit(first_sobolev, x, y, size ** (-2 / 3)))
            taken.append(time.perf_counter() - start)
    return min(taken[1:])


def claims(
    config: Config,
    errors: xr.DataArray,
    rates: xr.DataArray,
    digits: xr.DataArray,
    shared: float,
    seconds: xr.DataArray | None,
    devices: float,
) -> list[Claim]:
    by_size, parts = errors.transpose("size", "parts", "draw").values, errors.parts.values
    wide = Need("numbers of examples over a factor of 16", is_wide(config), "give --sizes")
    reached = is_wide(config) and bool(np.isfinite(most_parts(by_size, parts)).all())
    growth = None
    if reached:
        growth = jackknife(lambda some: slope(most_parts(some, parts), config.sizes), by_size)
    allowed = xr.DataArray([2 ** int(np.log2(size) / 3) for size in config.sizes], dims="size")
    ratios = (errors / errors.sel(parts=1)).sel(parts=allowed).drop_vars("parts")
    of_digits = (digits / digits.sel(parts=1)).transpose("draw", "parts").values
    on_digits = xr.DataArray([tolerated(row, digits.parts.values) for row in of_digits], dims="draw")
    exponents = {r: -2 * r / (4 * r + 1) for r in SMOOTHNESS}
    measured = {
        r: jackknife(
            lambda some: slope(np.sqrt(some.mean(axis=-1)), config.sizes),
            rates.sel(r=r).transpose("size", "draw").values,
        )
        for r in SMOOTHNESS
    }
    slopes = None
    if seconds is not None:
        slopes = xr.DataArray(
            [slope(seconds.sel(draw=draw).values, tuple(seconds["size"].values)) for draw in seconds.draw],
            dims="draw",
        )
    told = "the number of parts N^((6(2r-1)+1)/(5(4r+1))) that is allowed"
    return [
        Claim(
            "The number m* of parts at which the mean squared error is 1.25 times that of one machine grows "
            "like a power of N: its exponent.",
            between(0.35, 0.55, source=f"{ZDW}, section 5: 0.45, read off a plot; their theorem allows 1/3"),
            growth,
            needs=(wide, Need("a ratio of 1.25 at every N", reached or not wide.met, "give other --sizes")),
        ),
        Claim(
            "With as many parts as the theorem allows, N^(1/3) rounded down to a power of two, the mean "
            "squared error is less than 1.25 times that of one machine.",
            below(EXCESS, source=f"{ZDW}: of the same order; the factor is that of m*", unit="times"),
            mean(ratios, over="draw"),
        ),
        Claim(
            "The time that one machine takes for its part falls with the number of parts: the exponent of m, "
            f"for parts of at least {TIMED} examples.",
            at_most(-2, source="the Cholesky factor's N³/(3 m³) operations, and the kernel's N²/m²"),
            None if slopes is None else mean(-slopes, over="draw", of="runs"),
            needs=Need(f"two sizes of at least {TIMED}", slopes is not None, "give --sizes"),
        ),
        Claim(
            "On digits with a Gaussian kernel there is such an m* as well, of two machines or more.",
            at_least(2, source="this project's bar"),
            mean(on_digits, over="draw", overlap=shared),
            needs=Need("a ratio of 1.25", bool(np.isfinite(on_digits).all()), "raise --digits"),
        ),
        Claim(
            f"Parts on {DEVICES} devices give what a loop over them gives: the largest difference over the "
            "largest value.",
            at_most(1e-5, source="single precision"),
            exact(devices),
        ),
        *(
            Claim(
                f"On the circle the root mean squared error falls like N^{exponents[r]:.3f} for r = {r:g}, "
                f"with {'one machine' if r == min(SMOOTHNESS) else told}: its exponent.",
                between(
                    exponents[r] - 0.05,
                    exponents[r] + 0.05,
                    source=f"{LGZ}: -2αr/(4αr+1) with α = 1; the band is this project's",
                ),
                measured[r],
                needs=wide,
            )
            for r in SMOOTHNESS
        ),
    ]


def show(config: Config, lab: Lab, errors: xr.DataArray, rates: xr.DataArray, digits: xr.DataArray) -> None:
    """The pictures, and m* in words."""
    by_size, parts = errors.transpose("size", "parts", "draw").values, errors.parts.values
    most = most_parts(by_size, parts)
    told = ", ".join(f"{m:.1f} of {size}" for m, size in zip(most, config.sizes))
    lab.note(f"m*, the number of parts at which the mean squared error is 1.25 times as large: {told}.")
    figure, (panels,) = plots.canvas(2)
    labels = {"xlabel": "parts m", "log": "xy"}
    plots.panel(
        errors, x="parts", hue="size", over="draw", ylabel="mean squared error", axes=panels[0], **labels
    )
    panels[0].set_ylim(top=25 * float(errors.mean("draw").max()))  # room for the legend
    ratio = digits / digits.sel(parts=1)
    plots.panel(
        ratio,
        x="parts",
        over="draw",
        levels={"1.25": EXCESS},
        ylabel="error on digits, m = 1 is 1",
        axes=panels[1],
        **labels,
    )
    lab.figure("parts", figure, "The error of the average over m parts: simulated, and on digits.")
    root = np.sqrt(rates)
    exponents = xr.DataArray([-2 * r / (4 * r + 1) for r in SMOOTHNESS], {"r": list(SMOOTHNESS)}, ("r",))
    line = root.mean("draw").isel(size=0) * (root["size"] / min(config.sizes)) ** exponents
    figure = plots.panel(
        root,
        x="size",
        hue="r",
        over="draw",
        beside={"the theorem's rate": line.drop_vars("size").assign_coords(size=root["size"])},
        log="xy",
        xlabel="examples N",
        ylabel="root mean squared error",
    )
    lab.figure("rates", figure, "Errors on the circle with an admissible number of parts, and the rates.")
