"""The forward pass of a convolutional network is layered thresholding, a pursuit of sparse codes.

Lecture: sparse coding, "From soft thresholding to ReLU" and "Multilayer convolutional sparse coding".
Source: Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding,
Journal of Machine Learning Research 18(83), 2017, section 5.

The nonnegative soft threshold is a ReLU with a bias; so thresholding the correlations of a signal with atoms
is a dense layer, and doing it layer after layer with convolutional dictionaries is what a network computes.
Each atom is a piece of the data that its layer sees, of unit length, with a threshold that a fixed share of
its correlations exceed. The full form takes half a minute.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Measured, at_most, equal_to, experiment
from jaxtheory.networks.cnn import CNN
from jaxtheory.sparse import convolutional, proximal

BOUNDARIES = {"circular": "CIRCULAR", "zero": "SAME"}
"""What flax calls them."""
DOMAINS = ("spatial", "fourier")
SOURCE = "Papyan, Romano and Elad 2017, section 5; the figure allows for rounding"


@dataclass(frozen=True)
class Config:
    values: int = 10_000_000
    """Numbers of random bits that are thresholded, of each precision."""
    digits: int = 200
    """Digits that are coded, none of those that atoms are taken from."""
    atoms: int = 1000
    """Digits that are the atoms of the dense layer."""
    channels: tuple[int, ...] = (16, 32, 64)
    """Atoms of each convolutional layer."""
    kernels: tuple[int, ...] = (5, 4, 3)
    """Their height and width, in pixels."""
    active: float = 0.1
    """Share of an atom's correlations that exceed its threshold."""


QUICK = Config(values=500_000, digits=20, atoms=100, channels=(8, 16), kernels=(5, 4))


def random_bits(rng: np.random.Generator, number: int, dtype) -> np.ndarray:
    """Finite numbers of random bits: of all exponents, rather than of one size."""
    whole = np.dtype(f"u{np.dtype(dtype).itemsize}")
    values = rng.integers(0, np.iinfo(whole).max, number, whole, endpoint=True).view(dtype)
    return values[np.isfinite(values)]


def thresholded_bits(config: Config, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Values and thresholds: each threshold of a size of its own, or close to its value."""
    rng = np.random.default_rng(0)
    x, threshold = (random_bits(rng, config.values, dtype) for _ in range(2))
    number = min(len(x), len(threshold))
    x, threshold = x[:number], threshold[:number]
    with np.errstate(over="ignore"):
        near = x * (1 + np.finfo(dtype).eps * rng.integers(-8, 8, number)).astype(dtype)
    threshold = np.abs(np.where((rng.random(number) < 0.5) & np.isfinite(near), near, threshold))
    return x, threshold


def differing(one, other) -> int:
    """How many of the numbers differ in a bit."""
    one, other = np.asarray(one), np.asarray(other)
    whole = np.dtype(f"u{one.dtype.itemsize}")
    return int((one.view(whole) != other.view(whole)).sum())


def relu_layer(x, threshold):
    """What a network computes with the bias of an atom."""
    return nnx.relu(x - threshold)


def bits_that_differ(config: Config, dtype) -> dict[str, int]:
    """Values whose bits the nonnegative soft threshold and ReLU do not share, and the numbers compared."""
    x, threshold = thresholded_bits(config, dtype)
    relu = jax.jit(relu_layer)
    positive = np.abs(x)
    return {
        "nonnegative": differing(
            jax.jit(proximal.nonnegative_soft_threshold)(x, threshold), relu(x, threshold)
        ),
        "soft": differing(jax.jit(proximal.soft_threshold)(positive, threshold), relu(positive, threshold)),
        "values": len(x),
    }


def patches(maps: np.ndarray, size: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Random pieces of maps (n, H, W, C) that are not empty, of unit length: (size, size, C, number)."""
    windows = np.lib.stride_tricks.sliding_window_view(maps, (size, size), axis=(1, 2))
    # Many more than needed, as most of a digit is empty.
    places = (rng.integers(0, length, 50 * number) for length in windows.shape[:3])
    pieces = windows[tuple(places)]
    pieces = pieces[np.square(pieces).sum((1, 2, 3)) > 0][:number]
    if len(pieces) < number:
        raise ValueError(
            f"{len(pieces)} of {50 * number} pieces are not empty, and there are to be {number} atoms: "
            "take fewer, or let a larger share of the layer before be active"
        )
    pieces = np.moveaxis(pieces, (0, 1), (3, 2))
    return pieces / np.sqrt(np.square(pieces).sum((0, 1, 2)))


def thresholds(correlations, active: float) -> np.ndarray:
    """For each atom (last axis) what a share of its correlations exceeds, zero at least."""
    correlations = np.asarray(correlations)
    return np.maximum(np.quantile(correlations.reshape(-1, correlations.shape[-1]), 1 - active, axis=0), 0)


def relative(one, other) -> float:
    """The largest difference, relative to the largest value."""
    one, other = np.asarray(one), np.asarray(other)
    return float(np.abs(one - other).max() / np.abs(other).max())


def dense(config: Config, atoms: np.ndarray, digits: np.ndarray) -> dict:
    """One layer of thresholding and a dense layer of the same weights, on digits (n, features)."""
    dictionary = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    threshold = thresholds(digits @ dictionary.T, config.active)
    layer = nnx.Linear(
        dictionary.shape[1], len(dictionary), param_dtype=float, precision="highest", rngs=nnx.Rngs(0)
    )
    layer.kernel[...] = jnp.asarray(dictionary.T)
    layer.bias[...] = -jnp.asarray(threshold)
    correlations = jnp.matmul(digits, dictionary.T, precision="highest")
    codes = proximal.nonnegative_soft_threshold(correlations, threshold)
    return {"difference": relative(codes, nnx.relu(layer(digits))), "active": float((codes > 0).mean())}


def layers(config: Config, digits: np.ndarray, boundary: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Filters and thresholds of each layer, from digits (n, H, W) that will not be coded."""
    rng = np.random.default_rng(0)
    maps, found = digits[..., None], []
    for number, size in zip(config.channels, config.kernels):
        filters = patches(maps, size, number, rng)
        correlations = np.asarray(convolutional.analyze(filters, maps, boundary=boundary))
        found.append((filters, thresholds(correlations, config.active)))
        maps = np.asarray(proximal.nonnegative_soft_threshold(correlations, found[-1][1]))
    return found


def layered_thresholding(weights, digits, boundary: str, domain: str) -> list:
    """The codes of every layer, each those of the one before."""
    codes = [jnp.asarray(digits)[..., None]]
    for filters, threshold in weights:
        correlations = convolutional.analyze(filters, codes[-1], boundary=boundary, domain=domain)
        codes.append(proximal.nonnegative_soft_threshold(correlations, threshold))
    return codes[1:]


def forward_pass(config: Config, weights, digits, boundary: str) -> list:
    """The maps of every layer of a convolutional network with these weights."""
    network = CNN(
        digits.shape[1:], config.channels, nnx.Rngs(0), kernel_size=config.kernels, window=1,
        padding=BOUNDARIES[boundary], dtype=float, precision="highest",
    )  # fmt: skip
    for convolution, (filters, threshold) in zip(network.convolutions, weights):
        convolution.kernel[...] = jnp.asarray(filters)
        convolution.bias[...] = -jnp.asarray(threshold)
    maps, x = [], jnp.asarray(digits)[..., None]
    for convolution in network.convolutions:
        x = network.activation(convolution(x))
        maps.append(x)
    # The layers one by one are the network.
    np.testing.assert_array_equal(np.asarray(network(digits)), np.asarray(maps[-1]))
    return maps


def convolutional_layers(config: Config, of_atoms: np.ndarray, digits: np.ndarray) -> dict:
    """Differences (layers,) by boundary and domain, with the maps of one of them and their sparsity."""
    differences, shown, active = {}, (), ()
    for boundary in BOUNDARIES:
        weights = layers(config, of_atoms, boundary)
        maps = forward_pass(config, weights, digits, boundary)
        for domain in DOMAINS:
            codes = layered_thresholding(weights, digits, boundary, domain)
            differences[boundary, domain] = [relative(one, other) for one, other in zip(codes, maps)]
            if not shown:
                shown = [(np.asarray(one[:3]), np.asarray(other[:3])) for one, other in zip(codes, maps)]
                active = [float((one > 0).mean()) for one in codes]
    return {"differences": differences, "shown": shown, "active": active}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = mnist.load(lab.data_dir)
    lab.uses(f"{digits.description} (SHA-256 {digits.digest[:12]})")
    of_atoms = digits.train_images[: config.atoms].astype(np.float64)
    coded = digits.test_images[: config.digits].astype(np.float64)
    bits = {"float32": bits_that_differ(config, np.float32)}
    with jax.enable_x64(True):
        bits["float64"] = bits_that_differ(config, np.float64)
        one_layer = dense(config, of_atoms.reshape(len(of_atoms), -1), coded.reshape(len(coded), -1))
        many = convolutional_layers(config, of_atoms, coded)
    differences = many["differences"]
    shares = ", ".join(f"{100 * share:.1f} %" for share in many["active"])
    lab.note(
        f"Of the codes, {100 * one_layer['active']:.1f} % are active in the dense layer, {shares} by layer."
    )
    lab.figure(
        "thresholds_and_differences",
        plot_differences(one_layer["difference"], differences),
        caption="Left: thresholds are ReLUs with a bias. Right: largest difference of layered thresholding "
        "and the network of the same weights, relative to the largest value; none is shown as 1e-17.",
    )
    lab.figure(
        "maps",
        plot_maps(coded, many["shown"]),
        caption="Digits, the busiest map of each layer by layered thresholding and by the network, and their "
        "difference.",
    )
    return [
        Claim(
            "The nonnegative soft threshold and a ReLU with a bias give the same bits.",
            expected=equal_to(0, tolerance=0, unit="differ", source="ReLU(x - λ) = max(x - λ, 0)"),
            measured=[
                Measured(one["nonnegative"], n=one["values"], at={"in": dtype}) for dtype, one in bits.items()
            ],
        ),
        Claim(
            "So does the soft threshold itself where values are nonnegative.",
            expected=equal_to(
                0, tolerance=0, unit="differ", source="soft threshold: sign(x) max(|x| - λ, 0)"
            ),
            measured=[
                Measured(one["soft"], n=one["values"], at={"in": dtype}) for dtype, one in bits.items()
            ],
        ),
        Claim(
            "One layer of nonnegative thresholding is a dense layer with the atoms as weights and minus the "
            "thresholds as biases, on real digits.",
            expected=at_most(1e-12, source=SOURCE),
            measured=Measured(one_layer["difference"], n=config.digits),
        ),
        Claim(
            "Layered thresholding is the forward pass of a convolutional network with the same weights, on "
            "real digits, at every layer.",
            expected=at_most(1e-12, source=SOURCE),
            measured=[
                Measured(max(values), n=config.digits, at={"boundary": boundary, "domain": domain})
                for (boundary, domain), values in differences.items()
            ],
        ),
    ]


def plot_differences(one_layer: float, differences: dict[tuple[str, str], list[float]]):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = np.linspace(-3, 3, 601)
    curves = {
        "soft threshold": (proximal.soft_threshold, "-", "#d55e00", 3),
        "nonnegative soft threshold": (proximal.nonnegative_soft_threshold, "-", "#56b4e9", 5),
        "ReLU(x - 1)": (relu_layer, "--", "black", 1.5),
    }
    for label, (function, style, colour, width) in curves.items():
        left.plot(
            x, np.asarray(function(np.float32(x), np.float32(1))), style, color=colour, lw=width, label=label
        )
    left.set(xlabel="x", ylabel="thresholded at 1")
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    right.semilogy([0], [max(one_layer, 1e-17)], "k*", ms=9, label="dense layer")
    for (boundary, domain), values in differences.items():
        depth = np.arange(1, len(values) + 1)
        style = {"color": {"circular": "#0072b2", "zero": "#d55e00"}[boundary], "mfc": "none"}
        marker = {"spatial": "o-", "fourier": "s--"}[domain]
        right.semilogy(depth, np.maximum(values, 1e-17), marker, label=f"{boundary}, {domain}", **style)
    right.axhline(1e-12, color="#999999", ls=":", label="allowed")
    right.set(xlabel="layer", ylabel="relative difference", ylim=(5e-18, 1e-11))
    right.set_xticks(range(len(values) + 1), ["dense", *map(str, depth)])
    right.grid(alpha=0.3)
    right.legend(fontsize=8, ncols=2, loc="center", bbox_to_anchor=(0.5, 0.62))
    return figure


def plot_maps(digits: np.ndarray, shown):
    from matplotlib.figure import Figure

    rows, columns = len(shown[0][0]), 1 + 3 * len(shown)
    figure = Figure(figsize=(1.3 * columns, 1.45 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for i, row in enumerate(panels):
        row[0].imshow(digits[i], cmap="gray_r")
        row[0].set_ylabel(f"digit {i + 1}")
        for layer, (codes, maps) in enumerate(shown):
            busiest = int(np.square(codes[i]).sum((0, 1)).argmax())
            one, other = codes[i, ..., busiest], maps[i, ..., busiest]
            span = {"vmin": 0, "vmax": max(other.max(), 1e-12)}
            difference = one - other
            limit = max(np.abs(difference).max(), 1e-17)
            first, second, third = row[3 * layer + 1 : 3 * layer + 4]
            first.imshow(one, cmap="viridis", **span)
            second.imshow(other, cmap="viridis", **span)
            third.imshow(difference, cmap="RdBu", vmin=-limit, vmax=limit)
            third.set_xlabel(f"± {limit:.0e}", fontsize=8)
            if i == 0:
                for panel, title in ((first, "thresholding"), (second, "network"), (third, "difference")):
                    panel.set_title(f"layer {layer + 1}\n{title}", fontsize=8)
        for panel in row:
            panel.set_xticks([])
            panel.set_yticks([])
    return figure
