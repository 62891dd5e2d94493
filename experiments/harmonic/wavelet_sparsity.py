"""Wavelets are optimal for piecewise smooth signals; for images with edges they are only better than waves.

Lecture: harmonic analysis, "wavelets are optimal sparse representations for certain classes of functions".
Source: S. Mallat, A Wavelet Tour of Signal Processing, 3rd edition, 2009, chapter 9; D. Donoho, Sparse
components of images and optimal atomic decompositions, Constructive Approximation 17, 2001.

A signal is a Gaussian Fourier series whose coefficients fall like |k|^(-α - 1/2), so that it has α
derivatives, and jumps twice. A cartoon is a smooth bump and the indicator of a star-shaped region, whose
pixels are exact averages. The best n terms are the largest coefficients; waves are cos + sin (Hartley's
basis), which are real and orthonormal. The wavelets bior4.4 are not orthonormal: their errors are measured on
the images. Of photographs the errors are shown, and no exponent is claimed.
The full form takes about two minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import jax
import numpy as np
import xarray as xr
from scipy.special import erf

from jaxtheory.approximation import cartoon, n_term
from jaxtheory.data import images as real_images
from jaxtheory.lab import Claim, Lab, Measured, Range, equal_to, experiment, mean, plots

TOUR = "Mallat 2009, chapter 9"
FOR_SIGNALS = ("db4", "waves")
FOR_IMAGES = ("haar", "db2", "db4", "bior4.4", "waves")
VERTICES = 1000
"""The vertices of a region's boundary: chords of it are off by less than a hundredth of a pixel."""
HARMONICS = 6
"""The number of oscillations of a region's boundary, which is smooth."""
Photograph = Literal[*real_images.ORIGINS]


@dataclass(frozen=True)
class Config:
    bits: Annotated[int, Range(12, 22)] = 18
    """The binary logarithm of the number of a signal's samples."""
    smoothness: Annotated[tuple[float, ...], Range(0.6, 3)] = (0.75, 1.0, 1.5, 2.0)
    """The numbers of derivatives between jumps, α."""
    side: Annotated[int, Range(128, 4096)] = 1024
    """The number of pixels along a side of the cartoons, a power of two."""
    draws: Annotated[int, Range(2)] = 10
    """The number of signals of each smoothness, and of cartoons."""
    numbers: Annotated[int, Range(3)] = 9
    """How many numbers of terms the exponents are fitted to."""
    photographs: tuple[Photograph, ...] = ("china", "astronaut", "camera", "grass")
    """The names of the photographs, of which the middle 256 x 256 pixels are taken."""


QUICK = Config(draws=3, numbers=5, photographs=("camera", "grass"))


def signal_of(bits: int, smoothness: float, rng: np.random.Generator) -> np.ndarray:
    """A periodic random signal with two jumps; its smooth part has unit variance."""
    length = 2**bits
    orders = np.arange(1, length // 2)
    sizes = orders ** (-smoothness - 0.5)
    series = np.zeros(length // 2 + 1, complex)
    series[1:-1] = sizes * (rng.standard_normal(len(orders)) + 1j * rng.standard_normal(len(orders)))
    smooth = np.fft.irfft(series, length)
    start, width = rng.integers(length), rng.integers(length // 4, length // 2)
    jump = np.roll(np.arange(length) < width, start)
    return smooth / smooth.std() + rng.uniform(2, 3) * jump


def cartoon_of(side: int, rng: np.random.Generator) -> np.ndarray:
    """The pixels of a random region, upon a bump that vanishes at the border to a thousandth."""
    angles = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    with jax.enable_x64(True):
        boundary = cartoon.star(angles, rng.uniform(0, 2 * np.pi, HARMONICS), 1.0, ripple=0.5)
        region = np.asarray(cartoon.polygon_image(boundary, (side, side)))
    ends, width = np.linspace(-0.5, 0.5, side + 1), 0.13
    averages = [np.diff(erf((ends - center) / width)) for center in rng.uniform(-0.1, 0.1, 2)]
    peak = [one / one.max() for one in averages]
    return region + 0.5 * np.outer(*peak)


def waves(x: np.ndarray) -> np.ndarray:
    """Coefficients in the basis of cos + sin, orthonormal and real."""
    spectrum = np.fft.fftn(x, norm="ortho")
    return spectrum.real - spectrum.imag


def errors_of(x: np.ndarray, basis: str, numbers: np.ndarray) -> np.ndarray:
    """Squared errors of the largest terms by their number, relative to the squared norm."""
    import pywt

    if basis == "waves":
        coefficients = waves(x)
    else:
        coefficients, slices = pywt.coeffs_to_array(pywt.wavedecn(x, basis, mode="periodization"))
    flat = coefficients.ravel()
    with jax.enable_x64(True):
        if basis == "waves" or pywt.Wavelet(basis).orthogonal:
            squared = np.asarray(n_term.errors(flat))[numbers] ** 2
        else:
            kept = [np.asarray(n_term.largest(flat, int(n))).reshape(coefficients.shape) for n in numbers]
            parts = [pywt.array_to_coeffs(one, slices, "wavedecn") for one in kept]
            best = [pywt.waverecn(one, basis, mode="periodization") for one in parts]
            squared = np.array([((x - one) ** 2).sum() for one in best])
    return squared / (x**2).sum()


def of_draw(
    make: Callable[..., np.ndarray], bases: tuple[str, ...], numbers: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Errors of a random function in each basis."""
    x = make(rng=rng)
    return np.stack([errors_of(x, basis, numbers) for basis in bases])


def of_signal(config: Config, numbers: np.ndarray, smoothness: float, rng: np.random.Generator) -> np.ndarray:
    return of_draw(partial(signal_of, config.bits, smoothness), FOR_SIGNALS, numbers, rng)


def of_photograph(numbers: np.ndarray, photograph: str) -> np.ndarray:
    x = np.float64(real_images.load(photograph, gray=True))
    down, right = ((size - 256) // 2 for size in x.shape)
    x = x[down : down + 256, right : right + 256]
    return np.stack([errors_of(x - x.mean(), basis, numbers) for basis in FOR_IMAGES])


def exponents(errors: xr.DataArray) -> xr.DataArray:
    """The least-squares exponents of the squared errors in the number of terms, with their sign turned."""
    fitted = np.log(errors).assign_coords(terms=np.log(errors.terms)).polyfit("terms", 1)
    return -fitted["polyfit_coefficients"].sel(degree=1, drop=True)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    draws = range(config.draws)
    # Up to a 32nd of the samples, and of the wavelets of the third finest scale: what is finer is used up.
    many = np.unique(np.geomspace(2 ** (config.bits - 7), 2 ** (config.bits - 5), config.numbers).astype(int))
    few = np.unique(np.geomspace(config.side // 16, config.side, config.numbers).astype(int))
    signals = lab.sweep(
        "signals", partial(of_signal, config, many), smoothness=config.smoothness, draw=draws,
        dims=("basis", "terms"),
    ).assign_coords(basis=list(FOR_SIGNALS), terms=many)  # fmt: skip
    cartoons = lab.sweep(
        "cartoons", partial(of_draw, partial(cartoon_of, config.side), FOR_IMAGES, few), draw=draws,
        dims=("basis", "terms"),
    ).assign_coords(basis=list(FOR_IMAGES), terms=few)  # fmt: skip
    lab.uses(real_images.describe(*config.photographs))
    shown = np.unique(np.geomspace(16, 2**14, 21).astype(int))
    photographs = lab.sweep(
        "photographs", partial(of_photograph, shown), photograph=config.photographs, dims=("basis", "terms")
    ).assign_coords(basis=list(FOR_IMAGES), terms=shown)
    draw_figures(config, lab, signals, cartoons, photographs)
    of_signals, of_cartoons = exponents(signals), exponents(cartoons)
    relative = of_signals.sel(basis="db4", drop=True) / (2 * of_signals.smoothness)
    return claims(relative, of_signals.sel(basis="waves", drop=True), of_cartoons)


def claims(relative: xr.DataArray, of_waves: xr.DataArray, of_cartoons: xr.DataArray) -> list[Claim]:
    def over_draws(values: xr.DataArray) -> tuple[Measured, ...]:
        return mean(values, over="draw")

    return [
        Claim(
            "Piecewise smooth signals: with wavelets the squared error falls like n^(-2α), the best of the "
            "class: the exponent over 2α.",
            equal_to(1, tolerance=0.06, source=f"{TOUR}; the tolerance is ours"),
            over_draws(relative),
        ),
        Claim(
            "There the squared error of the best waves falls like 1/n whatever the smoothness: the exponent.",
            equal_to(1, tolerance=0.1, source=f"{TOUR}; the tolerance is ours"),
            over_draws(of_waves),
        ),
        Claim(
            "Cartoons: the squared error of the best wavelets falls like 1/n: the exponent.",
            equal_to(
                1, tolerance=0.15, source="Donoho 2001, where the best exponent is 2; the tolerance is ours"
            ),
            over_draws(of_cartoons.drop_sel(basis="waves")),
        ),
        Claim(
            "There that of the best waves falls like n^(-1/2): the exponent.",
            equal_to(0.5, tolerance=0.1, source="Donoho 2001; the tolerance is ours"),
            over_draws(of_cartoons.sel(basis="waves", drop=True)),
        ),
    ]


def draw_figures(
    config: Config, lab: Lab, signals: xr.DataArray, cartoons: xr.DataArray, photographs: xr.DataArray
) -> None:
    first, last = config.smoothness[0], config.smoothness[-1]
    lab.figure(
        "signals",
        plots.panel(
            signals.rename("squared error"), x="terms", hue="smoothness", col="basis", over="draw",
            spread="none", log="xy",
        ),
        f"Squared error of the best terms of signals of smoothness {first:g} to {last:g} between jumps.",
    )  # fmt: skip
    best = cartoons.terms.astype(float) ** -2
    best = best * float(cartoons.sel(basis="haar").mean("draw")[0] / best[0])
    figure, ((left, *right),) = plots.canvas(3, size=(4.4, 3.8))
    for axes, values, over, beside in (
        (left, cartoons, "draw", {"the best of the class, 1/n²": best}),
        (right[1], photographs, "photograph", None),
    ):
        plots.panel(
            values.rename("squared error"), x="terms", hue="basis", over=over, spread="none", log="xy",
            beside=beside, axes=axes,
        )  # fmt: skip
    right[0].imshow(example_of(config, lab), cmap="gray", origin="lower")
    right[0].set(xticks=(), yticks=())
    for axes, title in zip((left, *right), ("cartoons", "a cartoon", "photographs")):
        axes.set_title(title, fontsize=10)
    lab.figure("images", figure, "Squared error of the best terms of cartoons and of photographs, by basis.")


def example_of(config: Config, lab: Lab) -> np.ndarray:
    """A cartoon to look at."""
    return cartoon_of(min(config.side, 256), lab.rng("example"))
