"""Networks of M edges approximate cartoon-like functions as well as wavelets do, with O(log M) bits a weight.

Lecture: approximation, "Optimal approximation with sparsely connected deep neural networks" (Kutyniok).
Source: H. Bölcskei, P. Grohs, G. Kutyniok and P. Petersen, Optimal approximation with sparsely connected deep
neural networks, SIAM J. Mathematics of Data Science 1(1), 2019.

The functions are horizon functions with smooth boundaries, whose pixels are exact averages. A tensor wavelet
is a product and no exact ReLU network in general. Haar's is a sum of two or four indicators of boxes, and
that of a box is a network of two hidden layers with ramps as narrow as one likes: each wavelet takes a fixed
number of edges whatever its scale. The best n wavelets are the largest coefficients of an orthonormal
transform, so that errors of approximation and of rounding are exact sums; that of the ramps is bounded.
Curvelets, whose networks are not built, are reported beside them.
The full form takes about three minutes on two cores and 2 GB of memory.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import numpy as np
import xarray as xr
from curvelets.numpy import UDCT
from matplotlib.figure import Figure

from jaxtheory.approximation import cartoon, n_term, relu
from jaxtheory.lab import Claim, Lab, Range, at_most, equal_to, exact, experiment, mean, plots

BOLCSKEI = "Bölcskei et al. 2019"
TERMS = 3
"""The number of oscillations of a boundary, which is smooth."""
HEIGHT = 0.4
"""The largest height of a boundary."""
PER_BOX = 26
"""The most edges of a box: 8 neurons of a weight and a bias, one of 8 weights and a bias, and one weight."""
SHARE = 0.01
"""The most that ramps, and about the most that rounding, add to the error, relative to it."""
FEWEST = 32
"""The smallest number of wavelets of a fit."""
QUADRANTS = {"a": [[1, 1], [1, 1]], "h": [[1, 1], [-1, -1]], "v": [[1, -1], [1, -1]], "d": [[1, -1], [-1, 1]]}
"""The signs of a wavelet of each kind on the quarters of its square, along x_2 and along x_1."""


@dataclass(frozen=True)
class Config:
    side: Annotated[int, Range(64, 8192)] = 2048
    """The number of pixels along a side; it is a power of two."""
    draws: Annotated[int, Range(2)] = 6
    """The number of functions."""
    numbers: Annotated[int, Range(2)] = 12
    """How many numbers of wavelets are taken, up to a thousandth of the number of pixels."""
    built: Annotated[int, Range(1)] = 48
    """The number of wavelets of the network that is built and applied."""
    curved: Annotated[int, Range(64, 2048)] = 1024
    """The number of pixels along a side of the images that curvelets are tried on."""
    scales: Annotated[tuple[int, ...], Range(2)] = (7, 8)
    """The numbers of scales of the curvelets."""


QUICK = Config(side=512, numbers=6, built=24, curved=256, scales=(7,))


def image_of(key: jax.Array, side: int) -> np.ndarray:
    """The pixels of a random horizon function, rows along x_2."""
    phases = jax.random.uniform(key, (TERMS,), minval=0, maxval=2 * np.pi)
    ends = np.linspace(-0.5, 0.5, side + 1)
    with jax.enable_x64(True):
        boundary = HEIGHT * cartoon.weierstrass(ends, np.asarray(phases, np.float64), 2.0)
        return np.asarray(cartoon.horizon_image(boundary, side))


@dataclass(frozen=True)
class Wavelets:
    """The coefficients of an image, the largest first, each with its kind, scale and place."""

    coefficients: np.ndarray  # (n,), for functions of unit norm on the square
    kind: np.ndarray  # (n,), one of "a", "h", "v", "d"
    level: np.ndarray  # (n,), the width of a wavelet being 2**level pixels
    place: np.ndarray  # (n, 2), in widths

    @property
    def boxes(self) -> np.ndarray:
        """How many boxes each wavelet is made of."""
        return np.select([self.kind == "a", self.kind == "d"], [1, 4], 2)


def wavelets_of(image: np.ndarray) -> Wavelets:
    """Haar's transform of an image."""
    import pywt

    side = len(image)
    coarse, *details = pywt.wavedec2(image, "haar", mode="periodization")
    parts = [("a", len(details), coarse)] + [
        (kind, len(details) - k, values)
        for k, three in enumerate(details)
        for kind, values in zip("hvd", three)
    ]
    values = np.concatenate([one.ravel() for _, _, one in parts]) / side
    order = np.argsort(-np.abs(values), kind="stable")
    sizes = [one.size for _, _, one in parts]
    places = np.concatenate([np.indices(one.shape).reshape(2, -1).T for _, _, one in parts])
    kinds = np.repeat([kind for kind, _, _ in parts], sizes)
    levels = np.repeat([level for _, level, _ in parts], sizes)
    return Wavelets(values[order], kinds[order], levels[order], places[order])


def errors_of(wavelets: Wavelets) -> np.ndarray:
    """The L² errors of the best wavelets by their number, from none on."""
    with jax.enable_x64(True):
        return np.asarray(n_term.errors(wavelets.coefficients))


def network_of(wavelets: Wavelets, number: int, side: int, width: float) -> relu.Network:
    """The sum of the first wavelets, as one network of boxes."""
    boxes, weights = [], []
    for k in range(number):
        length = 2.0 ** wavelets.level[k] / side
        signs, low = np.array(QUADRANTS[wavelets.kind[k]]), wavelets.place[k] * length - 0.5
        size = wavelets.coefficients[k] / length
        for corner, shape, sign in merged(signs):
            # Inputs are (x_1, x_2), and rows of pixels lie along x_2.
            start = (low + corner * length / 2)[::-1]
            boxes.append(relu.box(start, start + shape[::-1] * length / 2, width=width))
            weights.append(sign * size)
    return relu.add(*boxes, coefficients=weights)


def merged(signs: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, int | np.integer]]:
    """The boxes of equal sign of four quarters: where each begins, its size and its sign."""
    if (signs == signs[0, 0]).all():
        return [(np.array([0, 0]), np.array([2, 2]), 1)]
    if (signs[:, 0] == signs[:, 1]).all():
        return [(np.array([row, 0]), np.array([1, 2]), signs[row, 0]) for row in range(2)]
    if (signs[0] == signs[1]).all():
        return [(np.array([0, column]), np.array([2, 1]), signs[0, column]) for column in range(2)]
    return [(np.array(at), np.array([1, 1]), signs[at]) for at in np.ndindex(2, 2)]


def strips_of(wavelets: Wavelets, side: int) -> np.ndarray:
    """What ramps of width one would add to the L² error of each wavelet at most, in proportion to its root.

    A box has a perimeter of four widths at most, and its ramps are off by its height at most along it.
    """
    length = 2.0**wavelets.level / side
    return wavelets.boxes * np.abs(wavelets.coefficients) / length * np.sqrt(4 * length)


def approximated(config: Config, numbers: np.ndarray, key: jax.Array) -> dict[str, np.ndarray]:
    """Errors of the best wavelets by their number, with exact and with rounded weights, edges and bits."""
    found = wavelets_of(image_of(key, config.side))
    errors = errors_of(found)
    edges = PER_BOX * np.cumsum(found.boxes) + 1
    sizes, strips = np.abs(found.coefficients) * config.side / 2.0**found.level, strips_of(found, config.side)
    results: dict[str, list[float]] = {"error": [], "rounded": [], "edges": [], "bits": []}
    for number in numbers:
        error = errors[number]
        ramp = np.ceil(2 * np.log2(strips[:number].sum() / (SHARE * error)))
        length = 2.0 ** found.level[:number] / config.side
        places = np.ceil(np.log2(np.sqrt(number) / (SHARE * error)))
        weights = found.coefficients[:number] / length
        rounded = np.rint(weights * 2**places) / 2**places * length
        change = np.sqrt(((rounded - found.coefficients[:number]) ** 2).sum())
        results["error"].append(error)
        results["rounded"].append(np.hypot(error, change) + strips[:number].sum() * 2 ** (-ramp / 2))
        results["edges"].append(edges[number - 1])
        # A sign, the whole part of the largest weight, and binary places.
        results["bits"].append(1 + np.ceil(np.log2(max(2**ramp, sizes[:number].max()) + 1)) + places)
    return {name: np.array(values) for name, values in results.items()}


def best_of(image: np.ndarray, number: int) -> np.ndarray:
    """The sum of an image's best wavelets."""
    import pywt

    array, slices = pywt.coeffs_to_array(pywt.wavedec2(image, "haar", mode="periodization"))
    with jax.enable_x64(True):
        kept = np.asarray(n_term.largest(array.ravel(), number)).reshape(array.shape)
    return pywt.waverec2(pywt.array_to_coeffs(kept, slices, "wavedec2"), "haar", mode="periodization")


def of_network(config: Config, key: jax.Array) -> dict[str, float]:
    """A network that is built, against the wavelets' sum on the pixels of a small image."""
    side = 64
    image = image_of(key, side)
    found = wavelets_of(image)
    network = network_of(found, config.built, side, 2.0**-10)
    centers = (np.arange(side) + 0.5) / side - 0.5
    with jax.enable_x64(True):
        values = np.asarray(relu.apply(network, np.stack(np.meshgrid(centers, centers), -1)))[..., 0]
    expected = best_of(image, config.built)
    allowed = PER_BOX * found.boxes[: config.built].sum() + 1
    return {
        "difference": np.abs(values - expected).max(),
        "edges": relu.size(network).weights / allowed,
        "layers": relu.size(network).layers,
    }


def of_curvelets(side: int, numbers: np.ndarray, scales: int, key: jax.Array) -> np.ndarray:
    """Errors of the largest curvelets by their number, one row for each key; complex ones count once."""
    transform, errors = UDCT((side, side), num_scales=scales), []
    for one in key:
        image = image_of(one, side)
        values = transform.vect(transform.forward(image))
        order = np.argsort(-np.abs(values), kind="stable")
        for number in numbers:
            kept = np.zeros_like(values)
            kept[order[:number]] = values[order[:number]]
            best = np.real(transform.backward(transform.struct(kept)))
            errors.append(np.sqrt(np.mean((image - best) ** 2)))
    return np.reshape(errors, (len(key), len(numbers)))


def of_wavelets(side: int, numbers: np.ndarray, key: jax.Array) -> np.ndarray:
    """Errors of the largest wavelets by their number."""
    return errors_of(wavelets_of(image_of(key, side)))[numbers]


def compare_curvelets(config: Config, lab: Lab, axes: dict[str, Any]) -> None:
    """Reports how curvelets do."""
    numbers = counted(config.curved, config.numbers)
    dims, given = ("elements",), (config.curved, numbers)
    curved = lab.sweep(
        "curvelets", partial(of_curvelets, *given), scales=config.scales, together="draw", dims=dims,
        common="scales", **axes,
    ).assign_coords(elements=numbers)  # fmt: skip
    straight = lab.sweep("wavelets beside", partial(of_wavelets, *given), dims=dims, **axes)
    straight = straight.assign_coords(elements=numbers)
    fitted = np.log(curved).assign_coords(elements=np.log(numbers)).polyfit("elements", 1)
    rates = -fitted["polyfit_coefficients"].sel(degree=1).mean("draw")
    ratios = (curved / straight).isel(elements=-1).mean("draw")
    words = ", ".join(
        f"rate {rate:.2f} and {ratio:.2f} times the error of as many wavelets with {scales} scales"
        for scales, rate, ratio in zip(config.scales, rates.values, ratios.values)
    )
    lab.note(f"Curvelets on {config.curved:,}² pixels, up to {numbers[-1]:,}: {words}.")
    figure = plots.panel(
        curved.rename("L² error"), x="elements", hue="scales", over="draw", spread="band", log="xy",
        beside={"wavelets": straight.mean("draw")},
    )  # fmt: skip
    lab.figure("curvelets", figure, "L² error of the largest curvelets, by their number, and of wavelets.")


def counted(side: int, numbers: int) -> np.ndarray:
    """Numbers of wavelets up to a thousandth of the pixels."""
    return np.unique(np.geomspace(FEWEST, max(side**2 // 1000, 2 * FEWEST), numbers).astype(int))


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    numbers = counted(config.side, config.numbers)
    axes = {"draw": range(config.draws), "stream": "functions"}
    dims = dict.fromkeys(("error", "rounded", "edges", "bits"), ("wavelets",))
    found = lab.sweep("wavelets", partial(approximated, config, numbers), dims=dims, **axes)
    found = found.assign_coords(wavelets=numbers)
    built = lab.sweep("networks", partial(of_network, config), **axes)
    logarithms = np.log(found.edges.values), np.log(found.error.values)
    rates = [-np.polyfit(edges, errors, 1)[0] for edges, errors in zip(*logarithms)]
    rates = xr.DataArray(rates, {"draw": list(range(config.draws))}, ("draw",))
    lab.figure(
        "error_by_edges",
        draw_errors(config, found, lab),
        "Left: L² error by the number of edges, each function a line; dashed: the rate 1/2. Right: a "
        "function, and its best wavelets on a coarser grid.",
    )
    compare_curvelets(config, lab, axes)
    lab.note(
        f"Weights have {int(found.bits.min())} to {int(found.bits.max())} bits for networks of "
        f"{int(found.edges.min()):,} to {int(found.edges.max()):,} edges."
    )
    return [
        Claim(
            "The L² error of networks built from the best wavelets falls like the number of edges to the "
            "power -1/2, up to a thousandth of the pixels.",
            equal_to(0.5, tolerance=0.08, source=f"{BOLCSKEI}, with wavelets; the tolerance is ours"),
            mean(rates, over="draw"),
        ),
        Claim(
            "Rounded weights and ramps keep the error: the largest error with them over that without.",
            at_most(1 + 2 * SHARE, source=f"{BOLCSKEI}: weights of O(log M) bits; the share is ours"),
            exact(float((found.rounded / found.error).max())),
        ),
        Claim(
            "They take a multiple of log M bits: bits of a weight over the binary logarithm of the edges.",
            at_most(4, source=f"{BOLCSKEI}: O(log M); the factor is ours"),
            exact(float((found.bits / np.log2(found.edges)).max())),
        ),
        Claim(
            "A network that is built computes the sum of its wavelets: the largest difference at a pixel.",
            at_most(1e-10, source="rounding in double precision"),
            exact(float(built.difference.max())),
        ),
        Claim(
            "It has three affine maps, and at most 26 edges a box: edges over that number.",
            at_most(1, source="this project's construction"),
            exact(float(built.edges.where(built.layers == 3, np.inf).max())),
        ),
    ]


def draw_errors(config: Config, found: xr.Dataset, lab: Lab) -> Figure:
    figure, ((left, *right),) = plots.canvas(3, size=(4, 3.6))
    for draw in found.draw:
        one = found.sel(draw=draw)
        left.plot(one.edges, one.error, "o-", ms=3)
    ends = found.edges.isel(draw=0).values[[0, -1]]
    left.plot(ends, 0.7 * float(found.error[0, 0]) * (ends / ends[0]) ** -0.5, "k--", label="rate 1/2")
    left.set(xscale="log", yscale="log", xlabel="edges", ylabel="L² error")
    left.tick_params(which="minor", labelbottom=False, labelleft=False)
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    image = image_of(lab.key("functions", draw=0), min(config.side, 256))
    for ax, picture, title in zip(right, (image, best_of(image, 256)), ("function", "256 wavelets")):
        ax.imshow(picture.T, cmap="gray", origin="lower", vmin=0, vmax=1)
        ax.set_title(title, fontsize=10)
        ax.set(xticks=(), yticks=())
    return figure
