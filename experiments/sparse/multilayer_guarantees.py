"""Layered pursuits find the codes of multilayer convolutional signals within the bounds that coherence gives.

Lecture: sparse coding, "Convolutional neural networks are layered thresholding", guarantees.
Source: Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, JMLR
18, 2017, theorems 8 (layered hard thresholding), 10 (layered soft thresholding, which is the forward pass of
a network) and 12 (layered basis pursuit).

The two dictionaries are built so that the hypotheses can be met. The filters of the first are a modulated
lapped transform, orthonormal at shifts by its stride, slightly perturbed. An atom of the second has one entry
in each channel, at places that follow linear congruences, so that two atoms share at most one entry at any
shift and a stripe of the first layer sees few entries. Draws whose coefficients spread by more than a factor
1.3 in either layer are put aside; for the others each theorem's hypothesis is evaluated with the noise as it
fell, and only where it holds does a draw count. The full form takes about a minute on two cores.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.lab import Claim, Lab, Measured, at_least, at_most, experiment
from jaxtheory.sparse import multilayer

ALGORITHMS = ("hard thresholding", "soft thresholding", "basis pursuit")
KINDS = {"hard thresholding": "hard", "soft thresholding": "soft"}
THEOREMS = {"hard thresholding": 8, "soft thresholding": 10, "basis pursuit": 12}
PAPER = "Papyan, Romano and Elad 2017"
SPREAD = 1.3
"""Largest coefficient over smallest, in each layer."""
SPACING = 2
"""Places between neighbouring entries of an atom of the second layer."""
CANDIDATES = 4
"""Signals drawn for each that is kept: the entries of overlapping atoms must not fall on each other."""
KEPT = 0.5
"""Share of its error that an algorithm keeps, when noise falls a hundredfold, whose error does not vanish."""
ENOUGH = 1000
"""Draws that must meet each hypothesis."""
VANISHED = 0.02
"""Share that is left of an error in proportion to the noise: a hundredth, and as much again for luck."""


@dataclass(frozen=True)
class Config:
    channels: int = 16
    """Atoms of the first layer, and its stride; a prime number less one."""
    places: int = 128
    """Places of the codes: a signal has so many times the stride samples."""
    entries: int = 4
    """Nonzero entries of the deepest codes."""
    coherence: float = 0.01
    """Mutual coherence of the first dictionary, reached by perturbing its filters."""
    noises: tuple[float, ...] = (1e-3, 1e-4, 1e-5, 1e-6)
    """Standard deviations of the noise in a sample, largest first; a signal's norm is about two."""
    draws: int = 128
    """Signals in a batch."""
    batches: int = 10
    """Batches for each noise; spreads are taken over batches."""


QUICK = Config(noises=(1e-4, 1e-6), draws=40, batches=2)


def lapped_transform(channels: int) -> np.ndarray:
    """Cosines under a sine window, orthonormal at shifts by their number: (2 channels, 1, channels)."""
    n, k = np.arange(2 * channels)[:, None], np.arange(channels)
    window = np.sqrt(2 / channels) * np.sin(np.pi * (n + 0.5) / (2 * channels))
    return (window * np.cos(np.pi / channels * (n + 0.5 + channels / 2) * (k + 0.5)))[:, None]


def perturbed(filters: np.ndarray, coherence: float, stride: int, rng) -> np.ndarray:
    """The filters with noise of a size that gives them this coherence."""
    noise, size = rng.standard_normal(filters.shape), coherence / 4
    for _ in range(20):
        moved = filters + size * noise
        moved /= np.linalg.norm(moved, axis=(0, 1))
        size *= coherence / float(multilayer.coherences([moved], strides=stride)[0])
    return moved


def congruences(channels: int, rng) -> np.ndarray:
    """Atoms with one entry in each channel that share at most one, whatever the shift.

    Atom $a$ has its entry of channel $c$ at the place $a c$ modulo the prime number channels + 1, times the
    spacing. Two atoms' entries of a channel are $(a - b) c$ apart modulo that prime: at each distance once.
    """
    prime = channels + 1
    atoms = np.zeros((SPACING * channels + 1, channels, channels))
    for atom, channel in np.ndindex(channels, channels):
        place = SPACING * ((atom + 1) * (channel + 1) % prime)
        atoms[place, channel, atom] = rng.choice([-1, 1]) / np.sqrt(channels)
    return atoms


def model(config: Config) -> tuple[tuple[np.ndarray, np.ndarray], tuple[int, int]]:
    """The two dictionaries and their strides."""
    prime = config.channels + 1
    if prime < 3 or any(prime % n == 0 for n in range(2, prime)):
        raise ValueError(f"channels are {config.channels}: take a prime number less one, such as 16")
    rng = np.random.default_rng(0)
    first = perturbed(lapped_transform(config.channels), config.coherence, config.channels, rng)
    return (first, congruences(config.channels, rng)), (config.channels, 1)


@partial(jax.jit, static_argnames=("strides", "places", "entries", "draws"))
def drawn(dictionaries, key, *, strides, places, entries, draws):
    """Signals and codes as designed, as far as there are so many, their sparsity and whether they are."""
    keys = jax.random.split(key, CANDIDATES * draws)

    def one(key):
        return multilayer.sample(
            key, dictionaries, (places * strides[0],), entries, largest=SPREAD, strides=strides
        )

    x, *codes = jax.vmap(one)(keys)
    sparsity = multilayer.sparsity(dictionaries, codes, strides=strides)
    even = jnp.all(sparsity.largest <= SPREAD * sparsity.smallest, -1)
    full = jnp.all(sparsity.stripes >= 2, -1) & jnp.any(sparsity.stripes >= 3, -1)
    kept = jnp.argsort(~(even & full), stable=True)[:draws]
    return jax.tree.map(lambda values: values[kept], (x, codes, sparsity, even & full))


def promised(algorithm: str, coherences, sparsity, noise) -> multilayer.Guarantee:
    """What the theorem of an algorithm promises."""
    if algorithm == "basis pursuit":
        return multilayer.basis_pursuit_guarantee(coherences, sparsity, noise)
    return multilayer.thresholding_guarantee(coherences, sparsity, noise, kind=KINDS[algorithm])


def solved(algorithm: str, dictionaries, x, parameters, strides):
    """Codes of both layers, with a threshold or penalty for each signal and layer."""
    each = [parameters[:, layer, None, None] for layer in range(len(dictionaries))]
    if algorithm == "basis pursuit":
        found = multilayer.layered_basis_pursuit(dictionaries, x, each, strides=strides, tolerance=1e-10)
        return [one.codes for one in found], jnp.all(jnp.stack([one.converged for one in found]))
    kind = KINDS[algorithm]
    return multilayer.layered_thresholding(dictionaries, x, each, kind=kind, strides=strides), jnp.array(True)


@partial(jax.jit, static_argnames=("strides",))
def compared(dictionaries, coherences, x, codes, sparsity, noise, *, strides):
    """Each algorithm on noisy signals: whether its theorem applies, errors, bounds and broken promises."""
    widths = [dictionaries[1].shape[:1]] * 2
    size = multilayer.patch_norm(noise, dictionaries[0].shape[:1])
    rows = []
    for algorithm in ALGORITHMS:
        promise = promised(algorithm, coherences, sparsity, size)
        found, converged = solved(algorithm, dictionaries, x + noise, promise.parameters, strides)
        broken = []
        for layer, (one, true) in enumerate(zip(found, codes)):
            surely = jnp.zeros_like(promise.errors[:, layer])
            if algorithm == "basis pursuit":
                # Of entries no larger than this it promises nothing.
                surely = promise.errors[:, layer] / jnp.sqrt(sparsity.patches[:, layer])
            missed = (one == 0) & (jnp.abs(true) > surely[:, None, None])
            broken.append(jnp.sum(missed | ((one != 0) & (true == 0)), (1, 2)))
        rows.append(
            {
                "met": promise.holds[:, -1],
                "error": jnp.stack(
                    [multilayer.patch_norm(one - true, w) for one, true, w in zip(found, codes, widths)], -1
                ),
                "bound": promise.errors,
                "broken": jnp.stack(broken, -1),
                "converged": jnp.broadcast_to(converged, size.shape),
            }
        )
    return {name: jnp.stack([row[name] for row in rows], 1) for name in rows[0]}


def batch_of(config: Config, dictionaries, strides, noise: float, batch: int, key) -> dict[str, np.ndarray]:
    """A batch of draws (n, algorithms, ...), each with every algorithm."""
    del batch  # it only separates the keys
    with jax.enable_x64(True):
        for_signal, for_noise = jax.random.split(key)
        x, codes, sparsity, designed = drawn(
            dictionaries, for_signal, strides=strides, places=config.places, entries=config.entries,
            draws=config.draws,
        )  # fmt: skip
        errors = noise * jax.random.normal(for_noise, x.shape)
        coherences = multilayer.coherences(dictionaries, strides=strides)
        found = compared(dictionaries, coherences, x, codes, sparsity, errors, strides=strides)
        found["met"] = found["met"] & designed[:, None]
        return {name: np.asarray(values) for name, values in found.items()} | {
            "stripes": np.asarray(sparsity.stripes)
        }


def shares(error: np.ndarray, met: np.ndarray, noises: tuple[float, ...]) -> np.ndarray:
    """What is left of a batch's median error when noise falls a hundredfold, from (noises, batches, draws).

    From the smallest noise and the one a hundred times as large.
    """
    low = len(noises) - 1
    high = int(np.argmin(np.abs(np.log(np.array(noises) / (100 * noises[low])))))
    medians = np.array(
        [[np.median(error[i, b][met[i, b]]) for b in range(error.shape[1])] for i in (low, high)]
    )
    return medians[0] / medians[1]


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    with jax.enable_x64(True):
        dictionaries, strides = model(config)
        coherences = np.asarray(multilayer.coherences(dictionaries, strides=strides))
    found = lab.sweep(
        "draws",
        partial(batch_of, config, dictionaries, strides),
        noise=config.noises,
        batch=range(config.batches),
    )
    # (noises, batches, draws, algorithms, ...)
    met, error, bound, broken = (found[name].values for name in ("met", "error", "bound", "broken"))
    stripes = found["stripes"].values
    counted = met.any(-1)
    lab.record(coherence_1=float(coherences[0]), coherence_2=float(coherences[1]))
    lab.note(
        f"The dictionaries have coherence {coherences[0]:.4f} and {coherences[1]:.4f}; stripes of draws that "
        f"count have {stripes[counted][:, 0].min()} to {stripes[counted][:, 0].max()} entries in the first "
        f"layer and {stripes[counted][:, 1].min()} to {stripes[counted][:, 1].max()} in the second."
    )
    for i, algorithm in enumerate(ALGORITHMS):
        ratio = (bound / error)[met[..., i], i]
        lab.note(
            f"Layered {algorithm}: the hypothesis holds in {met[..., i].sum()} draws; the bound is "
            f"{np.median(ratio[:, 0]):.3g} times the error in the first layer (median; least "
            f"{ratio[:, 0].min():.3g}) and {np.median(ratio[:, 1]):.3g} times in the second (least "
            f"{ratio[:, 1].min():.3g})."
        )
    unfinished = int((~found["converged"].values).sum())
    if unfinished:
        lab.note(f"{unfinished} batches hold a lasso that did not reach its tolerance.")
    lab.figure(
        "error_by_noise",
        plot_errors(error, bound, met, config),
        caption="Median error of each layer, the range from 5 to 95 % (bands) and the median bound (dashed).",
    )
    lab.figure(
        "bound_over_error",
        plot_ratios(bound / error, met),
        caption="By how much the bounds are pessimistic, over all draws that meet the hypothesis.",
    )
    lab.figure(
        "draw",
        plot_draw(config, dictionaries, strides),
        caption="A signal of the model with its codes: white is zero.",
    )

    def largest(i: int) -> list[Measured]:
        ratio = (error / bound)[met[..., i], i]
        return [
            Measured(ratio[:, layer].max(), n=len(ratio), at={"algorithm": ALGORITHMS[i], "layer": layer + 1})
            for layer in range(2)
        ]

    def left(i: int) -> Measured:
        share = shares(error[..., i, 1], met[..., i], config.noises)
        spread = share.std(ddof=1) / np.sqrt(len(share))
        return Measured(share.mean(), spread, len(share), at={"algorithm": ALGORITHMS[i]})

    counts = met.sum((0, 1, 2))
    enough = met[..., 0].size >= ENOUGH
    claims = [
        Claim(
            "The hypothesis of each theorem is met by a thousand draws at least.",
            expected=at_least(ENOUGH, source="this project's, for the claims below to mean something"),
            measured=[
                Measured(count, n=met[..., 0].size, at={"algorithm": algorithm})
                for algorithm, count in zip(ALGORITHMS, counts)
            ]
            if enough
            else None,
            reason="" if enough else f"{met[..., 0].size} draws are fewer",
        )
    ] + [
        Claim(
            f"Where its hypothesis holds, layered {algorithm} errs less than its bound, in both layers.",
            expected=at_most(1.0, source=f"{PAPER}, theorem {THEOREMS[algorithm]}: error over bound"),
            measured=largest(i),
        )
        for i, algorithm in enumerate(ALGORITHMS)
    ]
    supports = (
        "Thresholding finds the supports of both layers exactly; basis pursuit finds nothing outside of them "
        "and every entry that is large enough."
    )
    return [
        *claims,
        Claim(
            supports,
            expected=at_most(0, source=f"{PAPER}, theorems 8, 10 and 12: entries found or missed wrongly"),
            measured=[
                Measured(broken[met[..., i], i].sum(), n=int(met[..., i].sum()), at={"algorithm": algorithm})
                for i, algorithm in enumerate(ALGORITHMS)
            ],
        ),
        Claim(
            "When noise falls a hundredfold, the error of layered basis pursuit falls with it.",
            expected=at_most(VANISHED, source=f"{PAPER}, section 6; a hundredth, with room for luck"),
            measured=left(2),
        ),
        Claim(
            "That of layered thresholding stays.",
            expected=at_least(KEPT, source=f"{PAPER}, section 6; the share is this project's"),
            measured=[left(0), left(1)],
        ),
    ]


COLOURS = dict(zip(ALGORITHMS, ("#0072b2", "#d55e00", "#009e73")))


def plot_errors(error, bound, met, config: Config):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    for layer, panel in enumerate(figure.subplots(1, 2, sharex=True, sharey=True)):
        for i, algorithm in enumerate(ALGORITHMS):
            rows = [
                [values[n, ..., i, layer][met[n, ..., i]] for values in (error, bound)]
                for n in range(len(config.noises))
            ]
            low, middle, high = np.array([np.quantile(errors, [0.05, 0.5, 0.95]) for errors, _ in rows]).T
            colour = COLOURS[algorithm]
            panel.loglog(config.noises, middle, "o-", ms=4, color=colour, label=algorithm)
            panel.fill_between(config.noises, low, high, color=colour, alpha=0.2, lw=0)
            panel.loglog(config.noises, [np.median(bounds) for _, bounds in rows], "--", color=colour)
        panel.set_title(f"layer {layer + 1}", fontsize=10)
        panel.set_xlabel("standard deviation of the noise")
        panel.grid(alpha=0.3)
    figure.axes[0].set_ylabel(r"error $\|\Gamma_i-\hat\Gamma_i\|^P_{2,\infty}$")
    figure.axes[0].plot([], [], "k--", label="bound")
    figure.axes[0].legend(fontsize=8)
    return figure


def plot_ratios(ratio, met):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    largest = max(ratio[met[..., i], i].max() for i in range(len(ALGORITHMS)))
    bins = np.geomspace(1, 1.1 * largest, 150)
    for layer, panel in enumerate(figure.subplots(1, 2, sharex=True)):
        for i, algorithm in enumerate(ALGORITHMS):
            values = ratio[met[..., i], i, layer]
            panel.hist(values, bins, color=COLOURS[algorithm], alpha=0.6, label=algorithm)
        panel.axvline(1, color="k", lw=1)
        panel.set_xscale("log")
        panel.set_title(f"layer {layer + 1}", fontsize=10)
        panel.set_xlabel("bound / error")
        panel.grid(alpha=0.3)
    figure.axes[0].set_ylabel("draws")
    figure.axes[0].legend(fontsize=8)
    return figure


def plot_draw(config: Config, dictionaries, strides):
    from matplotlib.figure import Figure

    with jax.enable_x64(True):
        x, codes, *_ = drawn(
            dictionaries, jax.random.key(0), strides=strides, places=config.places, entries=config.entries,
            draws=config.draws,
        )  # fmt: skip
    figure = Figure(figsize=(8.5, 5), layout="constrained")
    top, *panels = figure.subplots(3, 1)
    top.plot(np.arange(x.shape[1]) / strides[0], x[0, :, 0], lw=0.6, color="#333333")
    top.set_xlim(0, config.places)
    top.set_ylabel("signal")
    for layer, (panel, z) in enumerate(zip(panels, codes)):
        limit = np.abs(z[0]).max()
        panel.imshow(
            np.asarray(z[0]).T, aspect="auto", cmap="RdBu", vmin=-limit, vmax=limit, interpolation="none",
            extent=(0, config.places, config.channels + 0.5, 0.5),
        )  # fmt: skip
        panel.set_ylabel(f"atom of layer {layer + 1}")
    panels[-1].set_xlabel("place (strides of the first layer)")
    return figure
