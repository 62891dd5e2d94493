"""Scattering, unlike the spectrum, is stable to dilations of sounds; order 2 keeps what order 1 averages.

Lecture: harmonic analysis, "Scattering Transform", stability to deformations.
Source: J. Andén and S. Mallat, Deep scattering spectrum, IEEE Transactions on Signal Processing 62(16), 2014,
sections II and III.

A harmonic sound, a sum of partials under a window, is dilated: x(t) becomes x((1 - ε) t). Distances are
relative to the norm of what is compared: the moduli of the Fourier transforms, or scattering coefficients
averaged over the whole sound. Once partials have moved by more than their width the Fourier distance stays
near √2, whereas the scattering distance grows in proportion to ε until partials reach the next wavelet.
Then tones are modulated in amplitude, more slowly than a wavelet around them responds and faster than
coefficients are averaged. Where a(t) = 1 + m cos(2π f t) multiplies the tone, the second order over the first
is (m/2)|ψ(f)| at the second wavelets ψ: the modulation spectrum.
The full form takes about two minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import xarray as xr

from jaxtheory.harmonic import scattering1d
from jaxtheory.lab import Claim, Lab, Measured, Range, at_least, at_most, experiment, mean, plots

SOURCE = "Andén and Mallat 2014, section II; the figure is ours"
MODULATED = "Andén and Mallat 2014, section III; the figure is ours"
FRACTIONS = np.array([1, 2, 4, 8, 16, 24, 32, 48]) / 48
"""The dilations, times Q."""
SLOWEST, FASTEST = 2.0**-12, 2.0**-9
"""The frequencies of modulations, in cycles per sample."""


@dataclass(frozen=True)
class Config:
    bits: Annotated[int, Range(13, 20)] = 15
    """The binary logarithm of the number of a sound's samples."""
    Q: Annotated[tuple[int, ...], Range(1, 32)] = (4, 8, 16)
    """The numbers of wavelets an octave, in increasing order."""
    fourier: Annotated[float, Range(0, 0.2)] = 0.02
    """The dilation at which Fourier moduli are compared."""
    depth: Annotated[float, Range(0, 1)] = 0.5
    """The depth m of modulations."""
    draws: Annotated[int, Range(2)] = 12
    """The number of random sounds."""
    modulations: Annotated[int, Range(3)] = 13
    """The number of frequencies of modulations."""


QUICK = Config(bits=14, Q=(8,), draws=4, modulations=5)


def bank_of(config: Config, Q: int) -> scattering1d.Bank:
    """Filters whose responses are averaged over the whole sound."""
    J = config.bits - 3
    return scattering1d.filter_bank(2**config.bits, J, Q, T="global", boundary="periodic", folding="sum")


def sounds(bits: int, dilations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random harmonic sound, dilated about its middle by each of the dilations."""
    length = 2**bits
    pitch = rng.uniform(0.004, 0.006)
    orders = np.arange(1, int(0.3 / pitch) + 1)
    sizes = np.abs(rng.standard_normal(len(orders))) / np.sqrt(orders)
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    found = []
    for dilation in dilations:
        times = (1 - dilation) * (np.arange(length) - length / 2)
        window = np.exp(-((times / (length / 12)) ** 2) / 2)
        waves = np.zeros(length)
        for order, size, phase in zip(orders, sizes, phases):
            waves += size * np.cos(2 * np.pi * order * pitch * times + phase)
        found.append(window * waves)
    return np.stack(found)


def distances(features: np.ndarray) -> np.ndarray:
    """The distances of the first features from the others, relative to their norm."""
    first, *others = features.reshape(len(features), -1)
    return np.array([np.linalg.norm(one - first) for one in others]) / np.linalg.norm(first)


def dilated(config: Config, Q: int, rng: np.random.Generator) -> dict[str, Any]:
    """Distances of a sound from dilated ones: of scattering coefficients, and of Fourier moduli."""
    dilations = FRACTIONS / Q
    x = sounds(config.bits, np.array([0, *dilations, config.fourier]), rng)
    spectra = distances(np.abs(np.fft.rfft(x)))
    scattered = np.asarray(scattering1d.scatter(bank_of(config, Q), np.float32(x[:-1])))
    return {"scattering": distances(scattered), "spectrum": spectra[:-1], "at once": spectra[-1]}


def cycles(config: Config) -> np.ndarray:
    """How often modulations go up and down within a sound."""
    ends = 2**config.bits * np.array([SLOWEST, FASTEST])
    return np.rint(np.geomspace(*ends, config.modulations))


def modulated(config: Config, Q: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What order 2 says of modulations of a tone, what it should say, and how far order 1 moves."""
    bank, length = bank_of(config, Q), 2**config.bits
    times = np.arange(length) / length
    tone = np.cos(2 * np.pi * (np.rint(rng.uniform(0.2, 0.25) * length) * times + rng.uniform()))
    turns = cycles(config)[:, None] * times + rng.uniform(size=(config.modulations, 1))
    x = np.stack([tone, *((1 + config.depth * np.cos(2 * np.pi * turns)) * tone)])
    found = np.asarray(scattering1d.scatter(bank, np.float32(x)))[..., 0]
    table = scattering1d.paths(bank)
    first = [i for i, path in enumerate(table) if path.order == 1]
    loudest = max(first, key=lambda i: found[0, i])
    ratios = np.full((config.modulations, len(bank.second)), np.nan)
    for i, path in enumerate(table):
        if path.order == 2 and path.wavelets[0] == table[loudest].wavelets[0]:
            ratios[:, path.wavelets[1]] = found[1:, i] / found[1:, loudest]
    expected = config.depth / 2 * np.abs(np.asarray(bank.second))[:, cycles(config).astype(int)].T
    return {
        "ratio": ratios,
        "expected": np.where(np.isnan(ratios), np.nan, expected),
        "moved": distances(found[:, first]),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    grid = {"Q": config.Q, "draw": range(config.draws)}
    by_dilation = lab.sweep(
        "dilations", partial(dilated, config), **grid,
        dims={"scattering": ("fraction",), "spectrum": ("fraction",)},
    ).assign_coords(fraction=FRACTIONS)  # fmt: skip
    of_wavelets = ("modulation", "wavelet")
    by_modulation = lab.sweep(
        "modulations", partial(modulated, config), **grid,
        dims={"ratio": of_wavelets, "expected": of_wavelets, "moved": of_wavelets[:1]},
    ).assign_coords(
        modulation=cycles(config) / 2**config.bits,
        wavelet=[one.frequency for one in bank_of(config, 1).wavelets[1]],
    )  # fmt: skip
    lab.figure(
        "dilations",
        draw_dilations(by_dilation),
        "Left: distances of sounds from dilated ones, with the largest Q. Right: the distance of scattering "
        "over the dilation, against that at the smallest one; bands of 20 % and of a factor two.",
    )
    lab.figure(
        "modulations",
        draw_modulations(by_modulation),
        "Order 2 over order 1 of modulated tones by second wavelet (dots), what the modulation makes of it "
        "(lines), and the frequencies of the modulations (dotted).",
    )
    return claims(by_dilation, by_modulation)


def relative_rates(by_dilation: xr.Dataset) -> xr.DataArray:
    """Distances of scattering over the dilation, relative to the smallest dilation's."""
    rates = by_dilation.scattering / by_dilation.fraction
    return rates / rates.isel(fraction=0, drop=True)


def octaves(by_modulation: xr.Dataset) -> xr.DataArray:
    """How far the mean of order 2, over logarithms of frequencies, is from the modulation, in octaves."""
    weights = by_modulation.ratio**2
    middle = (weights * np.log2(by_modulation.wavelet)).sum("wavelet") / weights.sum("wavelet")
    return np.abs(middle - np.log2(by_modulation.modulation))


def claims(by_dilation: xr.Dataset, by_modulation: xr.Dataset) -> list[Claim]:
    rates = relative_rates(by_dilation)
    near = rates.sel(fraction=slice(None, 1 / 3 + 1e-9))
    errors = by_modulation.ratio - by_modulation.expected
    relative = np.sqrt((errors**2).sum("wavelet") / (by_modulation.expected**2).sum("wavelet"))

    def over_draws(values: xr.DataArray) -> tuple[Measured, ...]:
        return mean(values, over="draw")

    return [
        Claim(
            "The Fourier moduli of a sound and of one dilated by 2 % are nearly disjoint: their distance, of "
            "at most √2.",
            at_least(1.2, source=SOURCE),
            over_draws(by_dilation["at once"].isel(Q=0, drop=True)),
        ),
        Claim(
            "The scattering distance is proportional to the dilation up to 1/(3Q): the largest relative "
            "deviation.",
            at_most(0.2, source=SOURCE),
            over_draws(np.abs(near - 1).max("fraction")),
        ),
        Claim(
            "Up to 1/Q it is proportional within a factor of two: the largest factor.",
            at_most(2, source=SOURCE),
            over_draws(np.maximum(rates, 1 / rates).max("fraction")),
        ),
        Claim(
            "Order 1 averages a modulation away: the largest relative distance from the plain tone's.",
            at_most(0.05, source=MODULATED),
            over_draws(by_modulation.moved.max("modulation")),
        ),
        Claim(
            "Order 2 over order 1 is the modulation spectrum: the largest relative error.",
            at_most(0.1, source=MODULATED),
            over_draws(relative.max("modulation")),
        ),
        Claim(
            "Its mean is at the frequency of the modulation: the largest distance in octaves.",
            at_most(0.5, source=f"{MODULATED}: half the spacing of second wavelets"),
            over_draws(octaves(by_modulation).max("modulation")),
        ),
    ]


def draw_dilations(by_dilation: xr.Dataset) -> Any:
    """Distances by dilation, and those of scattering over the dilation."""
    figure, ((left, right),) = plots.canvas(2, size=(4.8, 3.8))
    largest = by_dilation.isel(Q=-1)
    both = xr.concat([largest.spectrum, largest.scattering], "features")
    both = both.assign_coords(
        features=["Fourier moduli", "scattering"], fraction=both.fraction / largest.Q.item()
    )
    plots.panel(
        both.rename("relative distance", fraction="dilation"), x="dilation", hue="features", over="draw",
        levels={"√2": np.sqrt(2)}, log="xy", axes=left,
    )  # fmt: skip
    rates = relative_rates(by_dilation).rename("distance over dilation, relative")
    plots.panel(
        rates.rename(fraction="dilation times Q"), x="dilation times Q", hue="Q", over="draw",
        levels={"20 %": 0.8, "": 1.2, "a factor of two": 0.5}, log="x", ylim=(0, 1.4), axes=right,
    )  # fmt: skip
    return figure


def draw_modulations(by_modulation: xr.Dataset) -> Any:
    """Measured and expected spectra of three modulations."""
    shown = by_modulation.isel(Q=-1, modulation=[0, by_modulation.modulation.size // 2, -1])
    shown = shown.dropna("wavelet", how="all")
    figure, ((axes,),) = plots.canvas(1, size=(6.4, 4.0))
    for place, one in enumerate(shown.transpose("modulation", ...).modulation.values):
        values, color = shown.sel(modulation=one), plots.PALETTE[place]
        axes.plot(
            values.wavelet, values.expected.mean("draw"), "-", color=color, label=f"modulation at {one:.2g}"
        )
        axes.plot(values.wavelet, values.ratio.mean("draw"), "o", color=color)
        axes.axvline(one, color=color, lw=1, ls=":")
    axes.set_xscale("log", base=2)
    axes.set(xlabel="frequency of the second wavelet (cycles per sample)", ylabel="order 2 over order 1")
    axes.legend(fontsize=8)
    return figure
