"""The forward pass of a convolutional network is layered thresholding, a pursuit of sparse codes.

Lecture: sparse coding, "From soft thresholding to ReLU" and "Multilayer convolutional sparse coding".
Source: Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding,
Journal of Machine Learning Research 18(83), 2017, section 5.

The nonnegative soft threshold is a ReLU with a bias; so thresholding the correlations of a signal with atoms
is a dense layer, and doing it layer after layer with convolutional dictionaries is what a network computes.
Each atom is a piece of the data that its layer sees, of unit length, with a threshold that a fixed share of
its correlations exceeds. The full form takes half a minute.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from flax import nnx
from matplotlib.figure import Figure

from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Measured, Range, at_most, equal_to, experiment, plots
from jaxtheory.networks.cnn import CNN
from jaxtheory.sparse import convolutional, proximal

PRECISIONS = ("float32", "float64")
BOUNDARIES = ("periodic", "zero")
DOMAINS = ("spatial", "fourier")
SHOWN = 8
"""The digits whose maps are shown."""
ALLOWED = 1e-12
"""What rounding may change, relative to the largest value."""
SOURCE = "Papyan, Romano and Elad 2017, section 5; the figure allows for rounding"


@dataclass(frozen=True)
class Config:
    values: Annotated[int, Range(2)] = 10_000_000
    """The number of numbers of random bits that are thresholded in each precision."""
    digits: Annotated[int, Range(2, 1000)] = 200
    """The number of digits that are coded; atoms are taken from other digits."""
    atoms: Annotated[int, Range(1, 4000)] = 1000
    """The number of digits that serve as atoms of the dense layer."""
    channels: Annotated[tuple[int, ...], Range(1)] = (16, 32, 64)
    """The number of atoms of each convolutional layer."""
    kernels: Annotated[tuple[int, ...], Range(1, 28)] = (5, 4, 3)
    """The height and width of the atoms of each convolutional layer, in pixels."""
    active: Annotated[float, Range(0, 1)] = 0.1
    """The share of an atom's correlations that exceed its threshold."""


QUICK = Config(values=500_000, digits=20, atoms=100, channels=(8, 16), kernels=(5, 4))


def random_bits(rng: np.random.Generator, number: int, dtype: Any) -> np.ndarray:
    """Finite numbers of random bits: of all exponents, rather than of one size."""
    whole = np.dtype(f"u{np.dtype(dtype).itemsize}")
    values = rng.integers(0, np.iinfo(whole).max, number, whole, endpoint=True).view(dtype)
    return values[np.isfinite(values)]


def thresholded_bits(rng: np.random.Generator, number: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values and thresholds: each threshold of a size of its own, or close to its value."""
    x, threshold = (random_bits(rng, number, dtype) for _ in range(2))
    number = min(len(x), len(threshold))
    with np.errstate(over="ignore"):
        near = x[:number] * (1 + np.finfo(dtype).eps * rng.integers(-8, 8, number)).astype(dtype)
    return x[:number], np.abs(np.where(rng.random(number) < 0.5, near, threshold[:number]))


def differing(one: Any, other: Any) -> int:
    """How many of the numbers differ in a bit."""
    one, other = np.asarray(one), np.asarray(other)
    whole = np.dtype(f"u{one.dtype.itemsize}")
    return int((one.view(whole) != other.view(whole)).sum())


def relu_layer(x: Any, threshold: Any) -> jax.Array:
    """What a network computes with the bias of an atom."""
    return nnx.relu(x - threshold)


def bits_that_differ(number: int, precision: str, rng: np.random.Generator) -> dict[str, int]:
    """How many values' bits each soft threshold does not share with ReLU, and how many were compared."""
    x, threshold = thresholded_bits(rng, number, precision)
    positive, relu = np.abs(x), jax.jit(relu_layer)
    nonnegative, soft = map(jax.jit, (proximal.nonnegative_soft_threshold, proximal.soft_threshold))
    with jax.enable_x64(True):
        return {
            "nonnegative": differing(nonnegative(x, threshold), relu(x, threshold)),
            "soft": differing(soft(positive, threshold), relu(positive, threshold)),
            "compared": len(x),
        }


def pieces(maps: np.ndarray, size: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Random pieces of maps (n, H, W, C) that are not empty, of unit length: (size, size, C, number)."""
    windows = np.lib.stride_tricks.sliding_window_view(maps, (size, size), axis=(1, 2))
    # Many more than needed, as most of a digit is empty.
    places = (rng.integers(0, length, 50 * number) for length in windows.shape[:3])
    found = windows[tuple(places)]
    found = found[np.square(found).sum((1, 2, 3)) > 0][:number]
    if len(found) < number:
        raise ValueError(
            f"{len(found)} of {50 * number} pieces are not empty, and there are to be {number} atoms: "
            "take fewer, or let a larger share of the layer before be active"
        )
    found = np.moveaxis(found, (0, 1), (3, 2))
    return found / np.sqrt(np.square(found).sum((0, 1, 2)))


def thresholds(correlations: Any, active: float) -> np.ndarray:
    """For each atom (last axis) what a share of its correlations exceeds, zero at least."""
    correlations = np.asarray(correlations)
    return np.maximum(np.quantile(correlations.reshape(-1, correlations.shape[-1]), 1 - active, axis=0), 0)


def relative(one: Any, other: Any) -> float:
    """The largest difference, relative to the largest value."""
    one, other = np.asarray(one), np.asarray(other)
    return float(np.abs(one - other).max() / np.abs(other).max())


def dense_layer(config: Config, atoms: np.ndarray, digits: np.ndarray) -> tuple[float, float]:
    """How one layer of thresholding differs from a dense layer, on digits (n, features); its active share."""
    with jax.enable_x64(True):
        dictionary = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
        threshold = thresholds(digits @ dictionary.T, config.active)
        layer = nnx.Linear(*dictionary.T.shape, param_dtype=float, precision="highest", rngs=nnx.Rngs(0))
        layer.kernel[...], layer.bias[...] = jnp.asarray(dictionary.T), -jnp.asarray(threshold)
        correlations = jnp.matmul(digits, dictionary.T, precision="highest")
        codes = proximal.nonnegative_soft_threshold(correlations, threshold)
        return relative(codes, nnx.relu(layer(digits))), float((codes > 0).mean())


def layers(
    config: Config, digits: np.ndarray, boundary: str, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Filters and thresholds of each layer, from digits (n, H, W) that will not be coded."""
    maps, found = digits[..., None], []
    for number, size in zip(config.channels, config.kernels):
        filters = pieces(maps, size, number, rng)
        correlations = np.asarray(convolutional.analyze(filters, maps, boundary=boundary))
        found.append((filters, thresholds(correlations, config.active)))
        maps = np.asarray(proximal.nonnegative_soft_threshold(correlations, found[-1][1]))
    return found


def layered_thresholding(weights: Any, digits: Any, boundary: str, domain: str) -> list[jax.Array]:
    """The codes of every layer, each those of the one before."""
    codes = [jnp.asarray(digits)[..., None]]
    for filters, threshold in weights:
        correlations = convolutional.analyze(filters, codes[-1], boundary=boundary, domain=domain)
        codes.append(proximal.nonnegative_soft_threshold(correlations, threshold))
    return codes[1:]


def forward_pass(config: Config, weights: Any, digits: Any, boundary: str) -> list[jax.Array]:
    """The maps of every layer of a convolutional network with these weights."""
    options = {"kernel_size": config.kernels, "window": 1, "boundary": boundary, "dtype": float}
    network = CNN(digits.shape[1:], config.channels, nnx.Rngs(0), precision="highest", **options)
    for convolution, (filters, threshold) in zip(network.convolutions, weights):
        convolution.kernel[...], convolution.bias[...] = jnp.asarray(filters), -jnp.asarray(threshold)
    maps, x = [], jnp.asarray(digits)[..., None]
    for convolution in network.convolutions:
        x = network.activation(convolution(x))
        maps.append(x)
    # The layers one by one are the network.
    np.testing.assert_array_equal(np.asarray(network(digits)), np.asarray(maps[-1]))
    return maps


def layers_that_differ(
    config: Config, of_atoms: np.ndarray, digits: np.ndarray, boundary: str, rng: np.random.Generator
) -> dict[str, Any]:
    """Differences (domains, layers), the share of active codes, and the busiest map of each shown digit."""
    with jax.enable_x64(True):
        weights = layers(config, of_atoms, boundary, rng)
        maps = [np.asarray(one) for one in forward_pass(config, weights, digits, boundary)]
        spatial, fourier = (
            [np.asarray(one) for one in layered_thresholding(weights, digits, boundary, domain)]
            for domain in DOMAINS
        )
    busiest = [np.square(one[:SHOWN]).sum((1, 2)).argmax(-1) for one in spatial]
    return {
        "difference": [list(map(relative, codes, maps)) for codes in (spatial, fourier)],
        "active": [(one > 0).mean() for one in spatial],
        "shown": [
            [of[np.arange(len(which)), ..., which] for of in both]
            for which, *both in zip(busiest, spatial, maps)
        ],
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    of_atoms = digits.train_images[: config.atoms].astype(np.float64)
    coded = digits.test_images[: config.digits].astype(np.float64)
    bits = lab.sweep("bits that differ", partial(bits_that_differ, config.values), precision=PRECISIONS)
    one_layer, active = dense_layer(config, *(part.reshape(len(part), -1) for part in (of_atoms, coded)))
    dims = {"difference": ("domain", "layer"), "active": ("layer",)}
    dims["shown"] = ("layer", "by", "digit", "height", "width")
    compared = partial(layers_that_differ, config, of_atoms, coded)
    many = lab.sweep("layers", compared, boundary=BOUNDARIES, dims=dims)
    many = many.assign_coords(domain=list(DOMAINS), layer=range(1, 1 + len(config.channels)))
    shares = ", ".join(f"{100 * share:.1f} %" for share in many["active"][0].values)
    lab.note(f"Of the codes, {100 * active:.1f} % are active in the dense layer, {shares} by layer.")
    lab.figure(
        "thresholds_and_differences",
        plot_differences(one_layer, many["difference"]),
        "Left: thresholds are ReLUs with a bias. Right: the largest difference of layered thresholding and "
        "the network of the same weights, relative to the largest value; none is shown as 1e-17.",
    )
    caption = "Digits, the busiest map of each layer by layered thresholding and by the network."
    lab.figure("maps", plot_maps(coded, many["shown"][0].values), caption)
    same_bits = {
        name: [
            Measured(count, n=int(number), of="numbers", at={"in": precision})
            for count, number, precision in zip(bits[name].values, bits["compared"].values, PRECISIONS)
        ]
        for name in ("nonnegative", "soft")
    }
    largest = many["difference"].max("layer").to_series()
    return [
        Claim(
            "The nonnegative soft threshold and a ReLU with a bias give the same bits.",
            equal_to(0, tolerance=0, unit="differ", source="ReLU(x - λ) = max(x - λ, 0)"),
            same_bits["nonnegative"],
        ),
        Claim(
            "So does the soft threshold itself where values are nonnegative.",
            equal_to(0, tolerance=0, unit="differ", source="soft threshold: sign(x) max(|x| - λ, 0)"),
            same_bits["soft"],
        ),
        Claim(
            "One layer of nonnegative thresholding is a dense layer with the atoms as weights and minus the "
            "thresholds as biases, on real digits.",
            at_most(ALLOWED, source=SOURCE),
            Measured(one_layer, n=config.digits, of="digits"),
        ),
        Claim(
            "Layered thresholding is the forward pass of a convolutional network with the same weights, on "
            "real digits, at every layer.",
            at_most(ALLOWED, source=SOURCE),
            [
                Measured(value, n=config.digits, of="digits", at=dict(zip(("boundary", "domain"), at)))
                for at, value in largest.items()
            ],
        ),
    ]


def plot_differences(one_layer: float, differences: xr.DataArray) -> Figure:
    x = np.linspace(-3, 3, 601, dtype=np.float32)
    curves = {
        "soft threshold": proximal.soft_threshold(x, 1.0),
        "nonnegative soft threshold": proximal.nonnegative_soft_threshold(x, 1.0),
        "ReLU(x - 1)": relu_layer(x, 1.0),
    }
    at = {"function": list(curves), "x": x}
    values = xr.DataArray(list(curves.values()), at, tuple(at), name="thresholded at 1")
    figure, ((left, right),) = plots.canvas(2)
    plots.panel(values, x="x", hue="function", style="function", axes=left)
    shown = np.maximum(differences, 1e-17).rename("relative difference")
    levels = {"allowed": ALLOWED, "dense layer": max(one_layer, 1e-17)}
    plots.panel(shown, x="layer", hue="boundary", style="domain", log="y", levels=levels, axes=right)
    return figure


def plot_maps(digits: np.ndarray, shown: np.ndarray) -> Figure:
    rows = {"digits": digits[:SHOWN]}
    for layer, (codes, maps) in enumerate(shown, 1):
        rows |= {f"layer {layer}: thresholding": codes, f"layer {layer}: network": maps}
        rows[f"layer {layer}: difference"] = codes - maps
    signed = [name for name in rows if "difference" in name]
    return plots.image_rows(rows, span=None, signed=signed, size=0.9)
