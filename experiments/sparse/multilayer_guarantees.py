"""Layered pursuits find the codes of multilayer convolutional signals within the bounds that coherence gives.

Lecture: sparse coding, "Convolutional neural networks are layered thresholding", guarantees.
Source: Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, JMLR
18, 2017, theorems 8 (layered hard thresholding), 10 (layered soft thresholding, which is the forward pass of
a network) and 12 (layered basis pursuit).

The two dictionaries are built so that the hypotheses can be met. The filters of the first are a modulated
lapped transform, orthonormal at shifts by its stride, slightly perturbed. An atom of the second has one entry
in each channel, at places that follow linear congruences, so that two atoms share at most one entry at any
shift and a stripe of the first layer sees few entries. Signals whose coefficients spread by more than a
factor of 1.3 in either layer are discarded; for the others each theorem's hypothesis is evaluated with the
noise that was drawn, and a signal counts only where it holds. The full form takes about a minute on two
cores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from jaxtheory.lab import Claim, Lab, Need, Range, at_least, at_most, exact, experiment, mean, plots
from jaxtheory.sparse import multilayer

ALGORITHMS = ("hard thresholding", "soft thresholding", "basis pursuit")
KINDS = {"hard thresholding": "hard", "soft thresholding": "soft"}
THEOREMS = {"hard thresholding": 8, "soft thresholding": 10, "basis pursuit": 12}
PAPER = "Papyan, Romano and Elad 2017"
SPREAD = 1.3
"""The largest coefficient over the smallest, in each layer."""
CANDIDATES = 4
"""Signals drawn for each that is kept: the entries of overlapping atoms must not fall on each other."""
KEPT = 0.5
"""The least share of an error that is left when noise falls a hundredfold, if the error does not vanish."""
ENOUGH = 1000
"""Signals that must meet each hypothesis."""
VANISHED = 0.02
"""The share left of an error in proportion to the noise: a hundredth, and as much again for chance."""


@dataclass(frozen=True)
class Config:
    channels: Annotated[int, Range(2)] = 16
    """Number of atoms of the first layer, which is also its stride: a prime number less one."""
    places: Annotated[int, Range(64)] = 128
    """Number of places of the codes; a signal has this number times the stride of samples."""
    entries: Annotated[int, Range(1)] = 4
    """Number of nonzero entries of the deepest codes."""
    coherence: Annotated[float, Range(1e-4, 0.1)] = 0.01
    """Mutual coherence of the first dictionary, to which its filters are perturbed."""
    noises: Annotated[tuple[float, ...], Range(1e-9, 1)] = (1e-3, 1e-4, 1e-5, 1e-6)
    """Standard deviations of the noise in each sample, the largest first; a signal's norm is about two."""
    signals: Annotated[int, Range(1)] = 128
    """Number of signals in a batch."""
    batches: Annotated[int, Range(1)] = 10
    """Number of batches for each noise, over which standard errors are taken."""


QUICK = Config(noises=(1e-4, 1e-6), signals=20, batches=4)


def model(config: Config, key: Array) -> tuple[tuple[Array, ...], tuple[int, int]]:
    """The filters of the two layers and their strides."""
    for_first, for_second = jax.random.split(key)
    first = multilayer.lapped_transform(config.channels)
    first = multilayer.perturb(first, config.coherence, for_first, stride=config.channels)
    return (first, multilayer.congruences(for_second, config.channels)), (config.channels, 1)


@partial(jax.jit, static_argnames=("strides", "config"))
def drawn(dictionaries: Any, key: Array, *, strides: tuple[int, ...], config: Config) -> tuple[Any, ...]:
    """Signals and codes that meet the design, if there are enough, their sparsity, and which ones do."""

    def one(key: Array) -> tuple[Array, ...]:
        shape, size = (config.places * strides[0],), {"largest": SPREAD, "strides": strides}
        return multilayer.sample(key, dictionaries, shape, config.entries, **size)

    x, *codes = jax.vmap(one)(jax.random.split(key, CANDIDATES * config.signals))
    sparsity = multilayer.sparsity(dictionaries, codes, strides=strides)
    even = jnp.all(sparsity.largest <= SPREAD * sparsity.smallest, -1)
    full = jnp.all(sparsity.stripes >= 2, -1) & jnp.any(sparsity.stripes >= 3, -1)
    kept = jnp.argsort(~(even & full), stable=True)[: config.signals]
    return jax.tree.map(lambda values: values[kept], (x, codes, sparsity, even & full))


def solved(
    algorithm: str, dictionaries: Any, x: Array, parameters: Array, strides: tuple[int, ...]
) -> tuple[Sequence[Array], Array]:
    """Codes of both layers, with a threshold or penalty for each signal and layer; whether they converged."""
    each = [parameters[:, layer, None, None] for layer in range(len(dictionaries))]
    if algorithm == "basis pursuit":
        found = multilayer.layered_basis_pursuit(dictionaries, x, each, strides=strides, tolerance=1e-10)
        return [one.codes for one in found], jnp.all(jnp.stack([one.converged for one in found]))
    kind = KINDS[algorithm]
    return multilayer.layered_thresholding(dictionaries, x, each, kind=kind, strides=strides), jnp.array(True)


@partial(jax.jit, static_argnames=("strides",))
def compared(
    dictionaries: Any, x: Array, codes: Any, sparsity: Any, noise: Array, *, strides: tuple[int, ...]
) -> dict[str, Array]:
    """Each algorithm on noisy signals: whether its theorem applies, errors, bounds and broken promises."""
    coherences = multilayer.coherences(dictionaries, strides=strides)
    width = dictionaries[1].shape[:1]
    size = multilayer.patch_norm(noise, dictionaries[0].shape[:1])
    rows = []
    for algorithm in ALGORITHMS:
        surely = jnp.zeros_like(sparsity.largest)
        if algorithm == "basis pursuit":
            promise = multilayer.basis_pursuit_guarantee(coherences, sparsity, size)
            # Of entries no larger than this it promises nothing.
            surely = promise.errors / jnp.sqrt(sparsity.patches)
        else:
            promise = multilayer.thresholding_guarantee(coherences, sparsity, size, kind=KINDS[algorithm])
        found, converged = solved(algorithm, dictionaries, x + noise, promise.parameters, strides)
        broken, error = [], []
        for layer, (one, true) in enumerate(zip(found, codes)):
            missed = (one == 0) & (jnp.abs(true) > surely[:, layer, None, None])
            broken.append(jnp.sum(missed | ((one != 0) & (true == 0)), (1, 2)))
            error.append(multilayer.patch_norm(one - true, width))
        row = {"met": promise.holds[:, -1], "error": jnp.stack(error, -1), "bound": promise.errors}
        row["broken"] = jnp.stack(broken, -1)
        rows.append(row | {"converged": jnp.broadcast_to(converged, size.shape)})
    return {name: jnp.stack([row[name] for row in rows], 1) for name in rows[0]}


def batch_of(
    config: Config, dictionaries: Any, strides: tuple[int, ...], noise: float, key: Array
) -> dict[str, np.ndarray]:
    """A batch of signals, each with every algorithm."""
    with jax.enable_x64(True):
        for_signal, for_noise = jax.random.split(key)
        x, codes, sparsity, designed = drawn(dictionaries, for_signal, strides=strides, config=config)
        errors = noise * jax.random.normal(for_noise, x.shape)
        found = compared(dictionaries, x, codes, sparsity, errors, strides=strides)
        found = found | {"met": found["met"] & designed[:, None], "stripes": sparsity.stripes}
        return {name: np.asarray(values) for name, values in found.items()}


def left_of_error(found: xr.Dataset) -> xr.DataArray:
    """The share of a batch's median error in the second layer that is left when noise falls a hundredfold."""
    medians = found.error.sel(layer=2, drop=True).where(found.met).median("signal")
    lowest = found.noise.values.min()
    highest = min(found.noise.values, key=lambda noise: abs(np.log(noise / (100 * lowest))))
    return medians.sel(noise=lowest) / medians.sel(noise=highest)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    with jax.enable_x64(True):
        dictionaries, strides = model(config, lab.key("filters"))
        coherences = np.asarray(multilayer.coherences(dictionaries, strides=strides))
    by_layer = ("signal", "algorithm", "layer")
    found = lab.sweep(
        "signals",
        partial(batch_of, config, dictionaries, strides),
        dims={
            "met": by_layer[:2], "converged": by_layer[:2], "error": by_layer, "bound": by_layer,
            "broken": by_layer, "stripes": ("signal", "layer"),
        },
        noise=config.noises,
        batch=range(config.batches),
    ).assign_coords(algorithm=list(ALGORITHMS), layer=[1, 2])  # fmt: skip
    all_signals = ("noise", "batch", "signal")
    met = found.met.sum(all_signals)
    largest = (found.error / found.bound).where(found.met).max(all_signals)
    broken = found.broken.where(found.met, 0).sum((*all_signals, "layer"))
    left = left_of_error(found)
    notes(found, coherences, lab)
    figures(config, found, dictionaries, strides, lab)
    number = found.met.isel(algorithm=0).size
    return [
        Claim(
            "The hypothesis of each theorem is met by a thousand draws at least.",
            at_least(ENOUGH, source="this project's, for the claims below to mean something"),
            [exact(met.sel(algorithm=name), at={"algorithm": name}) for name in ALGORITHMS],
            needs=(Need(f"{ENOUGH:,} signals", number >= ENOUGH, "ask for more --batches"),),
        ),
        *(
            Claim(
                f"Where its hypothesis holds, layered {name} errs less than its bound, in both layers.",
                at_most(1.0, source=f"{PAPER}, theorem {THEOREMS[name]}: error over bound"),
                [exact(largest.sel(algorithm=name, layer=layer), at={"layer": layer}) for layer in (1, 2)],
            )
            for name in ALGORITHMS
        ),
        Claim(
            "Thresholding finds the supports of both layers exactly; basis pursuit finds nothing outside of "
            "them and every entry that is large enough.",
            at_most(0, source=f"{PAPER}, theorems 8, 10 and 12: entries found or missed wrongly"),
            [exact(broken.sel(algorithm=name), at={"algorithm": name}) for name in ALGORITHMS],
        ),
        Claim(
            "When noise falls a hundredfold, the error of layered basis pursuit falls with it.",
            at_most(VANISHED, source=f"{PAPER}, section 6; a hundredth, with room for luck"),
            mean(left.sel(algorithm="basis pursuit", drop=True), over="batch", of="batches"),
        ),
        Claim(
            "That of layered thresholding stays.",
            at_least(KEPT, source=f"{PAPER}, section 6; the share is this project's"),
            mean(left.sel(algorithm=list(KINDS)), over="batch", of="batches"),
        ),
    ]


def notes(found: xr.Dataset, coherences: np.ndarray, lab: Lab) -> None:
    """Notes for the findings, on what the claims do not say."""
    stripes = found.stripes.where(found.met.any("algorithm"))
    ranges = [f"{stripes.sel(layer=n).min():.0f} to {stripes.sel(layer=n).max():.0f}" for n in (1, 2)]
    lab.record(coherence_1=float(coherences[0]), coherence_2=float(coherences[1]))
    lab.note(
        f"The dictionaries have coherence {coherences[0]:.4f} and {coherences[1]:.4f}; stripes of signals "
        f"that count have {ranges[0]} entries in the first layer and {ranges[1]} in the second."
    )
    ratio = (found.bound / found.error).where(found.met)
    for name in ALGORITHMS:
        of_layer = [ratio.sel(algorithm=name, layer=layer) for layer in (1, 2)]
        words = [f"{one.median():.3g} times the error (least {one.min():.3g})" for one in of_layer]
        lab.note(
            f"Layered {name}: the hypothesis holds in {found.met.sel(algorithm=name).sum():,} signals; the "
            f"bound is, as a median, {words[0]} in the first layer and {words[1]} in the second."
        )
    unfinished = int((~found.converged.astype(bool)).all("signal").any("algorithm").sum())
    if unfinished:
        lab.note(f"{unfinished} batches hold a lasso that did not reach its tolerance.")


def figures(config: Config, found: xr.Dataset, dictionaries: Any, strides: Any, lab: Lab) -> None:
    """The pictures."""
    error, bound = found.error.where(found.met), found.bound.where(found.met)
    error.attrs["long_name"] = r"error $\|\Gamma_i-\hat\Gamma_i\|^P_{2,\infty}$"
    lab.figure(
        "error_by_noise",
        plots.panel(
            error, x="noise", hue="algorithm", col="layer", over=("batch", "signal"), spread="band", log="xy",
            beside={"bound": bound.median(("batch", "signal"))}, xlabel="standard deviation of the noise",
        ),
        "Median error of each layer, the range from 5 to 95 % (bands) and the median bound (dashed).",
    )  # fmt: skip
    ratio = bound / error
    bins = np.geomspace(1, 1.1 * float(ratio.max()), 80)
    lab.figure(
        "bound_over_error",
        plots.histogram(ratio, bins=bins, hue="algorithm", col="layer", log="x", xlabel="bound / error"),
        "How many times its error a bound is, over all signals that meet the hypothesis.",
    )
    with jax.enable_x64(True):
        _, codes, *_ = drawn(dictionaries, lab.key("picture"), strides=strides, config=config)
    rows = {f"layer {layer}": np.asarray(z[:1]).swapaxes(1, 2) for layer, z in enumerate(codes, 1)}
    lab.figure(
        "draw",
        plots.image_rows(rows, signed=list(rows), size=8.0),
        "The codes of a signal, atoms by places: white is zero.",
    )
