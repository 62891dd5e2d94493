r"""Fukushima's neocognitron of 1980: it organizes itself without a teacher, and is blind to small shifts.

Three modules of two layers. S-cells compare $5 \times 5$ windows of all planes of the layer before with what
they have learned; C-cells gather S-cells of one plane in $5 \times 5$ windows two cells apart, with lateral
inhibition among planes. Images of $16 \times 16$ pixels leave planes of 16 x 16 (S1), 10 x 10 (C1), 8 x 8
(S2), 6 x 6 (C2), 2 x 2 (S3) and 1 x 1 cells (C3), as in the paper; images of other sizes those of H, H/2 + 2,
H/2, H/4 + 2, H/4 - 2 and 1. S-columns are $5 \times 5$ cells of all planes, and all of S3.

The paper leaves things open, and these are ours: what lies beyond a plane is zero; the centers of C-cells (an
odd window has no place in the middle of an even plane) begin one cell before the plane in C1 and two in C2;
every S-cell is the corner of an S-column; how fixed weights fall with the distance, and the first weights.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.networks.convolution import convolve

MODULES = 3
"""The number of pairs of S-layer and C-layer."""
SIDE = 5
"""The height and width of windows."""
BEYOND = (2, 1, 0)
"""How far the windows of S-cells reach beyond the planes before them."""
AHEAD = ((3, 4), (4, 3), (0, 0))
"""How far the windows of C-cells reach beyond the planes of S-cells, before and after."""
TIED = 1e-4
"""Answers that differ by less than this part are as large as each other: rounding does not choose."""


@record
class Parameters:
    """What the cells of a network have learned, and what is fixed; one entry for each module."""

    excitatory: tuple[Float[Array, "height width _inputs planes"], ...]
    """The weights $a$ of S-cells, which learn."""
    inhibitory: tuple[Float[Array, " planes"], ...]
    """The weights $b$ of S-cells, which learn."""
    surround: tuple[Float[Array, "height width"], ...]
    """The weights $c$ of what inhibits S-cells."""
    pooling: tuple[Float[Array, "_rows _columns"], ...]
    """The weights $d$ of C-cells."""
    selectivity: Float[Array, " modules"]
    """The $r$ of each module."""
    reinforcement: Float[Array, " modules"]
    """The $q$ of each module."""
    saturation: Float[Array, ""]
    r"""The $\alpha$ of C-cells."""
    shape: tuple[int, int] = static()
    """The height and width of images."""


@record
class Responses:
    """What the cells of all layers answer; one entry for each module."""

    simple: tuple[Float[Array, "... _rows _columns planes"], ...]  # S-cells
    complex: tuple[Float[Array, "... _rows _columns planes"], ...]  # C-cells


def init(
    shape: Sequence[int] = (16, 16),
    *,
    planes: int = 24,
    selectivity: Sequence[float] = (4.0, 1.5, 1.5),
    reinforcement: Sequence[float] = (1.0, 16.0, 16.0),
    saturation: RealScalar = 0.5,
    surround: RealScalar = 0.9,
    pooling: RealScalar = 0.8,
    start: RealScalar = 1e-3,
) -> Parameters:
    r"""Return a network that has seen nothing yet; nothing in it is random.

    The fixed weights fall with the distance from the center of a window: $d(v) = \delta^{|v|}$, and
    $c(v) \propto \gamma^{|v|}$, whose sum over places and planes is 1. S-cells begin with small weights
    $a = \epsilon \, c(v) \, 0.9^{t_k(v)} \, 2^{-|k/K - k'/K|}$: $t_k$ is the distance from a line through the
    center at the angle $\pi (k + 1/4) / K$, so that planes weakly prefer orientations, and $k'$ is the plane
    before. They begin without inhibition, $b = 0$. Defaults are the paper's where it has them.

    Args:
        shape: The height and width of images, multiples of 4 and at least 12.
        planes: The number $K$ of planes of each layer, at least 1.
        selectivity: The $r$ of each module, positive: a trained S-cell answers where the cosine between its
            window and what it has learned is above $r / (1 + r)$.
        reinforcement: The $q$ of each module, positive: how much one presentation adds to weights.
        saturation: The $\alpha$ of C-cells, positive: the input at which they answer 1/2.
        surround: The $\gamma$ of the fixed weights $c$, positive and at most 1.
        pooling: The $\delta$ of the fixed weights $d$, positive and at most 1.
        start: The $\epsilon$ of the first weights, positive.

    Returns:
        The parameters.

    Raises:
        TypeError: If a size is not a whole number.
        ValueError: If a number is out of range, or there is not one for each module.

    Example:
        >>> from jaxtheory.networks import neocognitron
        >>> [weights.shape for weights in neocognitron.init(planes=8).excitatory]
        [(5, 5, 1, 8), (5, 5, 8, 8), (5, 5, 8, 8)]

    References:
        Fukushima, "Neocognitron: a self-organizing neural network model for a mechanism of pattern
        recognition unaffected by shift in position", 1980.
    """
    shape = checks.sizes("shape", shape, ("H", "W"))
    if any(size % 4 or size < 12 for size in shape):
        raise ValueError(f"shape is {shape}: take multiples of 4 from 12 on, as planes are halved twice")
    planes = checks.count("planes", planes)
    given = {"selectivity": selectivity, "reinforcement": reinforcement}
    for name, value in given.items():
        found = checks.entries(name, value, f"{MODULES} numbers, one for each module")
        if len(found) != MODULES:
            raise ValueError(f"{name} is {found}: take {MODULES} numbers, one for each module")
        checks.positive(name, np.asarray(found))
    for name, value in {"saturation": saturation, "start": start}.items():
        checks.positive(name, value, one=True)
    for name, value in {"surround": surround, "pooling": pooling}.items():
        checks.positive(name, value, one=True)
        checks.within(name, value, 0, 1, one=True)
    distance = _distances(SIDE, SIDE)
    around = surround**distance
    last = [size // 4 - 2 for size in shape]
    gathered = [pooling ** _distances(*side) for side in ((SIDE, SIDE), (SIDE, SIDE), last)]
    number = np.arange(planes) / planes
    rows, columns = np.indices((SIDE, SIDE)) - SIDE // 2
    angle = np.pi * (number + 0.25 / planes)
    across = abs(np.cos(angle) * rows[..., None] - np.sin(angle) * columns[..., None])
    excitatory, weights = [], []
    for inputs in (1, planes, planes):
        weights.append(around / (around.sum() * inputs))
        before = np.arange(inputs) / inputs
        related = 0.5 ** abs(before[:, None] - number) if inputs > 1 else np.ones((1, planes))
        excitatory.append(start * (weights[-1][..., None] * 0.9**across)[:, :, None] * related)
    leaf = partial(jnp.asarray, dtype=jnp.result_type(float))
    return Parameters(
        excitatory=tuple(map(leaf, excitatory)),
        inhibitory=(leaf(np.zeros(planes)),) * MODULES,
        surround=tuple(map(leaf, weights)),
        pooling=tuple(map(leaf, gathered)),
        selectivity=leaf(selectivity),
        reinforcement=leaf(reinforcement),
        saturation=leaf(saturation),
        shape=shape,
    )


def responses(params: Parameters, x: Real[AnyArray, "... H W"]) -> Responses:
    r"""Compute what the cells of all layers answer to images.

    With $u$ the planes before (at first the image itself) and $\varphi$ the positive part,

    $$s_k = r \, \varphi\Big[ \frac{1 + \sum_{v, j} a_{vjk} u_{n + v, j}}{1 + \frac{2 r}{1 + r} b_k \sqrt{
    \sum_{v, j} c_v u_{n + v, j}^2}} - 1 \Big], \quad w_k = \varphi\Big[ \frac{1 + \sum_v d_v s_{n + v, k}}{1
    + \frac{1}{K} \sum_{j, v} d_v s_{n + v, j}} - 1 \Big], \quad \frac{w_k}{\alpha + w_k}$$

    are the answers of S-cells, and with $w$ those of C-cells.

    Args:
        params: The parameters.
        x: The images, $H \times W$ the shape of the parameters; values of 0 and more.

    Returns:
        The answers; those of the last C-layer have one row and one column.

    Raises:
        TypeError: If parameters are none, or images are complex or no numbers.
        ValueError: If images have another shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.networks import neocognitron
        >>> found = neocognitron.responses(neocognitron.init(planes=8), jnp.ones((16, 16)))
        >>> [maps.shape for maps in (*found.simple, *found.complex)][:4]
        [(16, 16, 8), (8, 8, 8), (2, 2, 8), (10, 10, 8)]

    References:
        Fukushima, "Neocognitron", 1980, equations 2-6.
    """
    (params, x), back = _arguments(params, x)
    return back(_answers(params, x)[0])


def apply(params: Parameters, x: Real[AnyArray, "... H W"]) -> Float[Array, "... planes"]:
    """Compute what the cells of the last layer answer to images.

    Args:
        params: The parameters.
        x: The images, of the shape of the parameters; values of 0 and more.

    Returns:
        One answer for each plane, from 0 to 1.

    Raises:
        TypeError: If parameters are none, or images are complex or no numbers.
        ValueError: If images have another shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.networks import neocognitron
        >>> neocognitron.apply(neocognitron.init(planes=8), jnp.ones((16, 16))).shape
        (8,)

    References:
        Fukushima, "Neocognitron", 1980.
    """
    (params, x), back = _arguments(params, x)
    return back(_answers(params, x)[0].complex[-1][..., 0, 0, :])


def step(params: Parameters, x: Real[AnyArray, "H W"]) -> Parameters:
    r"""Present an image once: in all S-layers together, planes learn what their representatives see.

    In every S-column, a window over all planes, the S-cell that answers most is a candidate; of the
    candidates in a plane the one that answers most is its representative, and a plane without one learns
    nothing. With $u$ in the window of the representative,

    $$\Delta a_{vjk} = q \, c_v u_{n + v, j}, \qquad \Delta b_k = \frac{q}{2} \sqrt{\sum_{v, j} c_v u_{n + v,
    j}^2}.$$

    All cells of a plane have these weights. Derivatives are taken with the representatives held fixed.

    Args:
        params: The parameters before.
        x: The image, of the shape of the parameters; values of 0 and more.

    Returns:
        The parameters after.

    Raises:
        TypeError: If parameters are none, or the image is complex or no numbers.
        ValueError: If it has another shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.networks import neocognitron
        >>> params = neocognitron.step(neocognitron.init(planes=8), jnp.eye(16))
        >>> int((params.inhibitory[2] > 0).sum())
        1

    References:
        Fukushima, "Neocognitron", 1980, equations 7-8.
    """
    (params, x), back = _arguments(params, x)
    checks.axes("x", x, "H", "W")
    return back(_learned(params, x))


def run(params: Parameters, x: Real[AnyArray, "n H W"]) -> Parameters:
    """Present images one after the other.

    Args:
        params: The parameters before.
        x: The images in their order; values of 0 and more.

    Returns:
        The parameters after.

    Raises:
        TypeError: If parameters are none, or images are complex or no numbers.
        ValueError: If they have another shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.networks import neocognitron
        >>> strokes = jnp.stack([jnp.eye(16), jnp.eye(16)[::-1]] * 20)
        >>> params = neocognitron.run(neocognitron.init(planes=8), strokes)
        >>> (neocognitron.apply(params, jnp.eye(16)) > 0).sum().item()
        1

    References:
        Fukushima, "Neocognitron", 1980.
    """
    (params, x), back = _arguments(params, x)
    checks.axes("x", x, "n", "H", "W")
    return back(_presented(params, x))


@jax.jit
def _presented(params: Parameters, x: Array) -> Parameters:
    return lax.scan(lambda params, one: (_learned(params, one), None), params, x)[0]


@jax.jit
def _answers(params: Parameters, x: Array) -> tuple[Responses, list[tuple[Array, Array]]]:
    """All answers; and for each module the planes that its S-cells see, and what inhibits them."""
    planes = x[..., None]
    simple, complexes, seen = [], [], []
    for module in range(MODULES):
        beyond = (BEYOND[module],) * 2
        energy = _gathered(jnp.sum(planes**2, -1, keepdims=True), params.surround[module], beyond, 1)[..., 0]
        silent = energy <= 0
        # The root has no slope at zero, where nothing is seen.
        norm = jnp.where(silent, 0, jnp.sqrt(jnp.where(silent, 1, energy)))
        found = convolve(planes, params.excitatory[module], padding=(beyond,) * 2, precision="highest")
        r = params.selectivity[module]
        shunt = 2 * r / (1 + r) * params.inhibitory[module] * norm[..., None]
        # (1 + a) / (1 + b) - 1, without the digits that the ones would take.
        simple.append(r * jax.nn.relu((found - shunt) / (1 + shunt)))
        gathered = _gathered(simple[-1], params.pooling[module], AHEAD[module], 2)
        average = gathered.mean(-1, keepdims=True)
        passed = jax.nn.relu((gathered - average) / (1 + average))
        seen.append((planes, norm))
        planes = passed / (params.saturation + passed)
        complexes.append(planes)
    return Responses(tuple(simple), tuple(complexes)), seen


@jax.jit
def _learned(params: Parameters, x: Array) -> Parameters:
    found, seen = _answers(params, x)
    excitatory, inhibitory = [], []
    for module, (answers, (planes, norm)) in enumerate(zip(found.simple, seen)):
        (row, column), present = _representatives(lax.stop_gradient(answers))
        padded = jnp.pad(planes, (*((BEYOND[module],) * 2,) * 2, (0, 0)))
        window = partial(lax.dynamic_slice, padded, slice_sizes=(SIDE, SIDE, planes.shape[-1]))
        windows = jax.vmap(lambda row, column, cut=window: cut((row, column, 0)), out_axes=-1)(row, column)
        amount = params.reinforcement[module] * present
        weights = params.surround[module][..., None, None]
        excitatory.append(params.excitatory[module] + amount * weights * windows)
        inhibitory.append(params.inhibitory[module] + amount / 2 * norm[row, column])
    return dataclasses.replace(params, excitatory=tuple(excitatory), inhibitory=tuple(inhibitory))


def _representatives(answers: Array) -> tuple[tuple[Array, ...], Array]:
    """For each plane the place of its representative, and whether there is one."""
    highest = answers.max(-1)
    column = tuple(min(SIDE, size) for size in highest.shape)
    best = lax.reduce_window(highest, -jnp.inf, lax.max, column, (1, 1), "VALID")
    # The least of what is best in the columns to which a cell belongs: a candidate attains it.
    around = [(size - 1, size - 1) for size in column]
    least = lax.reduce_window(best, jnp.inf, lax.min, column, (1, 1), around)
    candidate = (highest >= (1 - TIED) * least) & (highest > 0)
    level = (answers >= (1 - TIED) * highest[..., None]).argmax(-1)
    chosen = candidate[..., None] & (jnp.arange(answers.shape[-1]) == level[..., None])
    counted = jnp.where(chosen, answers, 0).reshape(-1, answers.shape[-1])
    largest = counted.max(0)
    place = (counted >= (1 - TIED) * largest).argmax(0)
    return jnp.unravel_index(place, highest.shape), (largest > 0).astype(answers.dtype)


def _gathered(planes: Array, weights: Array, pads: tuple[int, int], stride: int) -> Array:
    """Sums over windows of single planes, with weights: one product with a matrix."""
    height, width = planes.shape[-3:-1]
    places = []
    for size, side in zip((height, width), weights.shape):
        first = np.arange(0, size + sum(pads) - side + 1, stride) - pads[0]
        places.append(np.arange(size) - first[:, None])
    down, right = places[0][:, None, :, None], places[1][:, None]
    inside = (down >= 0) & (down < weights.shape[0]) & (right >= 0) & (right < weights.shape[1])
    matrix = jnp.where(
        inside, weights[down.clip(0, weights.shape[0] - 1), right.clip(0, weights.shape[1] - 1)], 0
    )
    rows, columns = matrix.shape[:2]
    flat = planes.reshape(*planes.shape[:-3], height * width, planes.shape[-1])
    sums = matmul(matrix.reshape(rows * columns, -1), flat)
    return sums.reshape(*planes.shape[:-3], rows, columns, planes.shape[-1])


def _arguments(params: Parameters, x: AnyArray) -> tuple[list[Any], Callable[[Any], Any]]:
    checks.instance("params", params, Parameters, "parameters, from neocognitron.init")
    arguments, back = real_arrays(params=params, x=x)
    checks.axes("x", arguments[1], "...", "H", "W", sizes=params.shape)
    return arguments, back


def _distances(rows: int, columns: int) -> np.ndarray:
    """How far the places of a window are from its center."""
    down, right = (np.arange(size) - (size - 1) / 2 for size in (rows, columns))
    return np.hypot(down[:, None], right)
