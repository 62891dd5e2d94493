"""Filters are products of short ones, so that deep convolutional networks contain dense ReLU layers, exactly.

Lecture: approximation, "D.-X. Zhou: deep CNNs".
Source: Zhou, Universality of deep convolutional neural networks, Applied and Computational Harmonic Analysis
48(2), 2020; Zhou, Theory of deep convolutional neural networks: downsampling, Neural Networks 124, 2020.

Filters are factored by the roots of their polynomials, in double precision. A dense layer, 64 inputs on
scikit-learn's digits, is one filter; its outputs by the network of its factors are compared with its own.
What the theorem leaves open decides whether rounding spares anything: the order of the factors, and how large
the biases are that keep inner ReLUs linear. Ridge functions are piecewise linear in between equal knots.
The full form takes about three minutes on one core.
"""

import warnings
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory import networks
from jaxtheory.approximation import factorization
from jaxtheory.lab import Claim, Lab, Measured, Range, at_least, at_most, exact, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

ORDERS = ("Leja's", "by angle", "random")
SHARP, PRODUCTS = BIASES = ("norms of partial products", "products of norms")
DECAY = 1e-4
"""The weight of the squared weights in the loss: weights of pixels that never light vanish."""
TESTED = 200
"""The number of digits on which a layer is compared with its network."""
SHORT = 3
"""The number of taps of factors where nothing else is said."""
FUNCTIONS = {"|t - 0.3|": (1.0, 1.0), "sqrt|t - 0.3|": (0.5, 1.0)}
"""Univariate functions with their Hölder exponents and constants."""
UNIVERSALITY = "Zhou 2020, Universality, theorem 3"
DOWNSAMPLING = "Zhou 2020, Downsampling"


@dataclass(frozen=True)
class Config:
    degrees: Annotated[tuple[int, ...], Range(8)] = (16, 32, 64, 128, 256, 512, 1024)
    """The degrees of random filters."""
    factors: Annotated[tuple[int, ...], Range(2, 8)] = (2, 3, 4, 8)
    """The degrees s of the factors of filters."""
    draws: Annotated[int, Range(2)] = 5
    """The number of random filters of each degree, of trained layers and of random directions."""
    neurons: Annotated[tuple[int, ...], Range(4, 16)] = (4, 6, 8, 12, 16)
    """The numbers of neurons of the dense layers."""
    steps: Annotated[int, Range(1)] = 1000
    """The number of training steps of a network with one such layer."""
    dimensions: Annotated[tuple[int, ...], Range(3)] = (16, 64, 256)
    """The dimensions in which ridge functions live."""
    knots: Annotated[tuple[int, ...], Range(2)] = (4, 8, 16, 32, 64)
    """The numbers N of pieces in an interval of length one."""


QUICK = Config(
    degrees=(16, 64, 256), factors=(2, 3), draws=3, neurons=(4, 8), steps=100, dimensions=(16, 64),
    knots=(4, 16),
)  # fmt: skip


def real_filters() -> dict[str, np.ndarray]:
    """Filters that are used: of wavelets, windows and smoothing, some with multiple or with extreme roots."""
    import pywt

    t = np.arange(-128, 129)
    wavelets = ("db5", "db20", "sym20", "coif17")
    filters = {name: np.asarray(pywt.Wavelet(name).dec_lo) for name in wavelets}
    return filters | {
        "mean of 257": np.ones(257),
        "Hann window of 257": np.hanning(257),
        "Gaussian of 257": np.exp(-((t / 16) ** 2) / 2),
        "low pass of 257": np.sinc(t / 4) * np.hamming(257),
        "decay of 257": 0.8 ** (t + 128),
    }


def of_filter(taps: np.ndarray, s: int) -> dict[str, Any]:
    """The relative residual of the factors of a filter, their number and the number that suffices."""
    factors = factorization.factorize(taps, s)
    enough = ceil((len(taps) - 1) / (s - 1))
    return {"residual": factorization.residual(taps, factors), "share": len(factors) / enough}


def ordered(taps: np.ndarray, order: str, rng: np.random.Generator) -> float:
    """The relative residual of a filter's factors of degree two when they are multiplied in some order."""
    factors = factorization.factorize(taps, 2)
    if order == "by angle":
        # A quadratic factor 1 - 2 r cos(angle) z + r^2 z^2 of roots 1 / r, from its middle tap.
        cosines = -factors[:, 1] / (2 * np.sqrt(np.abs(factors[:, 0] * factors[:, 2])))
        factors = factors[np.argsort(-cosines)]
    elif order == "random":
        factors = rng.permutation(factors)
    product = np.ones(1)
    for factor in factors:
        product = np.convolve(product, factor)
        product /= np.abs(product).max()
    product = product[: len(taps)]
    return float(np.abs(product * (product @ taps) / (product @ product) - taps).max() / np.abs(taps).max())


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's digits of 8 x 8 pixels, from 0 to 1, and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.float32(found.data / 16), found.target.astype(np.int32)


def trained(images: np.ndarray, labels: np.ndarray, neurons: int, steps: int, key: Any) -> Any:
    """The kernels and biases of first layers, one for each key, of networks trained on the digits."""
    network = networks.functional(partial(MLP, (images.shape[1], neurons, 10)))
    loss = training.loss(network.apply, training.cross_entropy)

    def penalized(params: Any, batch: Any) -> jax.Array:
        return loss(params, batch) + DECAY * optax.tree.norm(params, squared=True)

    optimizer, objective = optax.adam(0.01), training.stateless(penalized)

    def one(key: Any) -> Any:
        start = training.init(network.init(key)[0], key, optimizer=optimizer)
        options = {"objective": objective, "optimizer": optimizer, "steps": steps, "batch": TESTED}
        end, _ = training.run(start, (images, labels), **options)
        return end.params["layers"]["0"]

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(key))


def with_products_of_norms(network: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
    """The network with the biases of the theorem's proof: products of the factors' norms."""
    (factors,), (biases,) = (tuple(map(np.asarray, one)) for one in (network.filters, network.biases))
    inputs, neurons = kernel.shape
    offsets = np.abs(factors).sum(1).cumprod()
    changed, before = np.zeros(biases.shape), np.zeros(inputs)
    for layer, factor in enumerate(factors):
        arrived = np.convolve(before, factor)
        before = np.full(len(arrived), offsets[layer])
        changed[layer, : len(arrived)] = (0 if layer == len(factors) - 1 else before) - arrived
    changed[-1, inputs - 1 : inputs * neurons : inputs] += bias
    return replace(network, biases=(jnp.asarray(changed),))


def of_layers(images: np.ndarray, labels: np.ndarray, steps: int, neurons: int, key: Any) -> dict[str, Any]:
    """How far networks of factors are from the trained layers that they rewrite, and their sizes."""
    layers = trained(images, labels, neurons, steps, key)
    x, found = images[:TESTED].astype(float), []
    for kernel, bias in zip(layers["kernel"].astype(float), layers["bias"].astype(float)):
        with jax.enable_x64(True), warnings.catch_warnings():
            # Small end weights may cost a filter some digits; here outputs are judged.
            warnings.simplefilter("ignore", RuntimeWarning)
            dense = np.maximum(x @ kernel + bias, 0)
            network = factorization.from_dense(kernel, bias, SHORT - 1)
            both = network, with_products_of_norms(network, kernel, bias)
            missed = [np.abs(np.asarray(factorization.apply(one, x)) - dense).max() for one in both]
        errors = np.array(missed) / np.abs(dense).max()
        found.append({
            # Outputs that overflow are missed by as much as they are.
            "error": np.where(np.isfinite(errors), errors, 1.0),
            "depth": len(network.filters[0]),
            "parameters": factorization.free_parameters(network) / (kernel.size + bias.size),
        })  # fmt: skip
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def of_ridge(function: str, dimension: int, knots: int, rng: np.random.Generator) -> dict[str, float]:
    """The largest error of a network for a ridge function, and its size; each over its bound, too."""
    exponent, constant = FUNCTIONS[function]
    direction = rng.standard_normal(dimension)
    direction /= np.linalg.norm(direction)
    at = np.linspace(-1, 1, 2 * knots + 1)
    t = np.linspace(-1, 1, 4001)
    values, expected = (np.abs(one - 0.3) ** exponent for one in (at, t))
    with jax.enable_x64(True):
        network, coefficients = factorization.from_ridge(direction, at, values, SHORT - 1)
        found = values[0] + factorization.apply(network, t[:, None] * direction) @ coefficients
    allowed = 2 * constant * knots**-exponent
    # The second block repeats one tap, and its biases are equidistant: the coefficients alone are free.
    free = factorization.free_parameters(first_blocks(network, 1)) + len(coefficients)
    depth = len(network.filters[0])
    return {
        "error": float(np.abs(np.asarray(found) - expected).max()),
        "error / bound": float(np.abs(np.asarray(found) - expected).max() / allowed),
        "layers / bound": depth / ceil((dimension - 1) / (SHORT - 2)),
        "parameters / bound": free / (9 * dimension + 2 * knots + 5),
    }


def first_blocks(network: Any, blocks: int) -> Any:
    """A network of the first blocks of another."""
    names = ("filters", "biases", "strides", "outputs")
    return replace(network, **{name: getattr(network, name)[:blocks] for name in names})


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    draws = range(config.draws)

    def of_random(degree: int, s: int, rng: np.random.Generator) -> dict[str, Any]:
        return of_filter(rng.standard_normal(degree + 1), s)

    def of_order(degree: int, order: str, rng: np.random.Generator) -> float:
        return ordered(rng.standard_normal(degree + 1), order, rng)

    filters = lab.sweep("filters", of_random, degree=config.degrees, s=config.factors, draw=draws, common="s")
    orders = lab.sweep("orders", of_order, degree=config.degrees, order=ORDERS, draw=draws, common="order")
    images, labels = digits()
    lab.uses(f"scikit-learn's {len(images):,} digits")
    layers = lab.sweep(
        "layers", partial(of_layers, images, labels, config.steps), neurons=config.neurons, draw=draws,
        together="draw", dims={"error": ("biases",), "depth": (), "parameters": ()},
    ).assign_coords(biases=list(BIASES))  # fmt: skip
    ridges = lab.sweep(
        "ridges", of_ridge, function=tuple(FUNCTIONS), dimension=config.dimensions, knots=config.knots,
        draw=draws,
    )  # fmt: skip
    used = real_filters()
    real = {(name, s): of_filter(taps, s) for name, taps in used.items() for s in config.factors}
    notes(lab, filters, layers, real)
    lab.figure(
        "rounding",
        plot_rounding(orders, layers),
        "Left: relative residual of the product of factors of degree two, by the order in which they are "
        "multiplied. Right: error of the network that rewrites a trained layer, by what its biases are.",
    )
    lab.figure(
        "ridges",
        plots.panel(
            ridges["error"].max("dimension"), x="knots", hue="function", over="draw", log="xy",
            beside={"bound": xr.DataArray(
                [[2 * c * n**-a for n in config.knots] for a, c in FUNCTIONS.values()],
                {"function": list(FUNCTIONS), "knots": list(config.knots)},
            )},
            xlabel="pieces N in an interval of length one", ylabel="largest error",
        ),
        "Ridge functions by downsampled networks, worst over the dimensions. Dashed: the theorem's bound.",
    )  # fmt: skip
    return claims(config, filters, orders, layers, ridges, real)


def worst(values: xr.DataArray, of: str, **at: Any) -> Measured:
    """The largest of random values as one measurement of them all."""
    return Measured(float(values.max()), n=values.size, of=of, at=at)


def claims(
    config: Config, filters: xr.Dataset, orders: xr.DataArray, layers: xr.Dataset, ridges: xr.Dataset,
    real: dict[tuple[str, int], dict[str, Any]],
) -> list[Claim]:  # fmt: skip
    numbers, longest = {"of": "layers"}, np.log10(orders.isel(degree=-1))
    depth = layers["depth"] / np.ceil((64 * layers.neurons - 1) / (SHORT - 2))
    return [
        Claim(
            "Random filters are products of short ones up to 1e-10 of their largest tap.",
            at_most(1e-10, source=f"{UNIVERSALITY}; the tolerance is ours"),
            [worst(filters["residual"].sel(s=s), "filters", s=s) for s in config.factors],
        ),
        Claim(
            "So are filters of wavelets, windows and smoothing, with ends below 1e-12 left out.",
            at_most(1e-10, source=f"{UNIVERSALITY}; the tolerance is ours"),
            [exact(one["residual"], at={"filter": name, "s": s}) for (name, s), one in real.items()],
        ),
        Claim(
            "At most S / (s - 1) factors of degree s, rounded up, make a filter of degree S: their number "
            "over that.",
            at_most(1, source=f"{DOWNSAMPLING}, lemma 4, and the slides of his talk, 2020", looked_up=True),
            [worst(filters["share"].sel(s=s), "filters", s=s) for s in config.factors],
        ),
        Claim(
            "Multiplied in Leja's order, the factors of the longest filters lose three digits less than in "
            "another: the difference of the logarithms to base 10 of the residuals.",
            at_most(-3, source="Calvetti and Reichel 2003 on Leja's order; three digits are our own bar"),
            mean(
                longest.sel(order=ORDERS[0], drop=True) - longest.sel(order=list(ORDERS[1:])),
                over="draw",
                paired=True,
            ),
        ),
        Claim(
            "A trained ReLU layer of at most 16 neurons is a deep convolutional network: the largest error "
            "over the largest output.",
            at_most(
                1e-8, source=f"{DOWNSAMPLING}, theorem on fully connected networks; the tolerance is ours"
            ),
            [
                worst(layers["error"].sel(neurons=n, biases=SHARP), neurons=n, **numbers)
                for n in config.neurons
            ],
        ),
        Claim(
            "With products of norms for biases, as in the proof, rounding destroys the outputs of the widest "
            "layer: the logarithm to base 10 of the error over the largest output.",
            at_least(-1, source="our own bar: an error of a tenth"),
            mean(np.log10(layers["error"].clip(max=1).isel(neurons=-1).sel(biases=PRODUCTS)), over="draw"),
        ),
        Claim(
            "The network has as many layers as factors suffice for, at most: their number over that.",
            at_most(1, source=DOWNSAMPLING, looked_up=True),
            [worst(depth.sel(neurons=n), neurons=n, **numbers) for n in config.neurons],
        ),
        Claim(
            "It has at most eight times as many free parameters as the layer.",
            at_most(8, unit="times", source=DOWNSAMPLING, looked_up=True),
            [worst(layers["parameters"].sel(neurons=n), neurons=n, **numbers) for n in config.neurons],
        ),
        *(
            Claim(
                f"A downsampled network for a ridge function keeps the theorem's bound: {what} over it.",
                at_most(1, source=f"{DOWNSAMPLING}, theorem on ridge functions", looked_up=True),
                [
                    worst(ridges[f"{what} / bound"].sel(function=one), "directions", function=one)
                    for one in FUNCTIONS
                ],
            )
            for what in ("error", "layers", "parameters")
        ),
    ]


def notes(
    lab: Lab, filters: xr.Dataset, layers: xr.Dataset, real: dict[tuple[str, int], dict[str, Any]]
) -> None:
    """Notes for the findings, on what the claims do not say."""
    few = {s: float(filters["share"].sel(s=s).min()) for s in filters.s.values}
    lab.note(
        "Factors are as few as conjugate pairs allow, over the number that suffices: "
        + ", ".join(f"{share:.3f} for s = {s}" for s, share in few.items())
    )
    name, s = max(real, key=lambda one: real[one]["residual"])
    lab.note(f"Of the filters in use, the {name} has the largest residual, {real[name, s]['residual']:.1e}.")
    wide = layers["parameters"].mean("draw")
    lab.note(
        "Free parameters of the networks over those of the layers: "
        + ", ".join(f"{float(wide.sel(neurons=n)):.2f} ({n} neurons)" for n in wide.neurons.values)
    )


def plot_rounding(orders: xr.DataArray, layers: xr.Dataset) -> Figure:
    figure, ((left, right),) = plots.canvas(2)
    labels = {"ylabel": "relative residual", "xlabel": "degree of the filter", "spread": "each"}
    plots.panel(orders, x="degree", hue="order", over="draw", log="xy", axes=left, **labels)
    labels = {"ylabel": "error over the largest output, at most 1", "xlabel": "neurons", "spread": "each"}
    plots.panel(
        layers["error"].clip(max=1), x="neurons", hue="biases", over="draw", log="xy",
        levels={"bar": 1e-8}, axes=right, **labels,
    )  # fmt: skip
    return figure
