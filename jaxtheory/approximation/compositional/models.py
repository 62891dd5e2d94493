"""Targets of given smoothness, networks that are wired as a graph, and how both are applied."""

import math
from typing import Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.approximation.compositional.graphs import Graph
from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey

SLOWEST = jnp.pi
"""The length of the frequencies of the first scale: half a period in a unit of length."""

STEEPEST = {"cosine": 1.0, "triangle": 2 / math.pi}
"""The forms of waves, of period 2 pi and values from -1 to 1, and their largest slopes."""


@runtime_checkable
class Model(Protocol):
    """What is applied: a graph, and a function for each of its nodes."""

    graph: Graph

    def constituent(self, place: int, u: Array) -> Array:
        """Return the values of a node at what it takes, `(..., taken)` to `(..., channels)`."""


@record
class Target:
    r"""A compositional function of sums of plane waves, such as $\sum_m a_m \cos(w_m \cdot u + p_m)$."""

    graph: Graph
    """What is composed of what."""
    frequencies: tuple[Float[AnyArray, "_ _"], ...]
    """The frequencies of each node, (waves, taken)."""
    amplitudes: tuple[Float[AnyArray, " _"], ...]
    """The amplitudes of each node, (waves,); their magnitudes sum to one."""
    phases: tuple[Float[AnyArray, " _"], ...]
    """The phases of each node, (waves,)."""
    wave: str = static(default="cosine")
    """The form of the waves, a key of `STEEPEST`."""

    def constituent(self, place: int, u: Array) -> Array:
        """Return the values of a node, `(..., taken)` to `(..., 1)`."""
        angles = matmul(u, self.frequencies[place].T) + self.phases[place]
        waves = jnp.cos(angles) if self.wave == "cosine" else _triangle(angles)
        return matmul(waves, self.amplitudes[place])[..., None]


@record
class WiredNetwork:
    """A ReLU network that is wired as a graph: each node is a network with one hidden layer."""

    graph: Graph
    """What is composed of what."""
    kernels: tuple[tuple[Float[AnyArray, "_ _"], Float[AnyArray, "_ _"]], ...]
    """The weights of the two layers of each node."""
    biases: tuple[tuple[Float[AnyArray, " _"], Float[AnyArray, " _"]], ...]
    """The biases of the two layers of each node."""

    def constituent(self, place: int, u: Array) -> Array:
        """Return the channels of a node."""
        (first, second), (inner, outer) = self.kernels[place], self.biases[place]
        return matmul(jnp.maximum(matmul(u, first) + inner, 0), second) + outer


def init(
    key: RandomKey,
    graph: Graph,
    *,
    smoothness: float | int = 2.0,
    scales: int = 1,
    waves: int = 2,
    wave: Literal["cosine", "triangle"] = "cosine",
) -> Target:
    r"""Draw a compositional function with constituents of given smoothness.

    Each constituent has, at the scales $j = 0, 1, \dots$, waves of frequencies $2^j \pi \theta$ with
    directions $\theta$ on the sphere, and of amplitudes in proportion to $2^{-j \alpha}$.

    Args:
        key: The random key.
        graph: What is composed of what.
        smoothness: The smoothness $\alpha > 0$: with many scales, constituents have Hölder exponent $\alpha$
            where it is below one, and are no smoother anywhere.
        scales: The number of scales; one scale gives smooth functions.
        waves: The number of waves of each scale.
        wave: The form of the waves: cosines, which are smooth, or triangles, which are Lipschitz functions
            and bend sharply.

    Returns:
        The function; all values lie in $[-1, 1]$.

    Raises:
        TypeError: If a number is not a whole number, or `key` is not a random key.
        ValueError: If a number is out of range.

    Example:
        >>> from jaxtheory.approximation.compositional import binary_tree
        >>> target = init(jax.random.key(0), binary_tree(8), smoothness=0.5, scales=6)
        >>> len(target.frequencies), target.frequencies[0].shape
        (7, (12, 2))

    References:
        Hardy, Weierstrass's non-differentiable function, 1916.
    """
    checks.random_key("key", key)
    checks.positive("smoothness", smoothness)
    scales, waves = checks.count("scales", scales), checks.count("waves", waves)
    checks.one_of("wave", wave, tuple(STEEPEST))
    scale = 2.0 ** jnp.repeat(jnp.arange(scales), waves)
    sizes = scale**-smoothness
    frequencies, phases = [], []
    for place, taken in enumerate(graph.nodes):
        directions, angles = jax.random.split(jax.random.fold_in(key, place))
        drawn = jax.random.normal(directions, (len(scale), len(taken)))
        unit = drawn / jnp.linalg.norm(drawn, axis=1, keepdims=True)
        frequencies.append(SLOWEST * scale[:, None] * unit)
        phases.append(jax.random.uniform(angles, scale.shape, maxval=2 * jnp.pi))
    amplitudes = [sizes / jnp.sum(sizes)] * len(graph.nodes)
    return Target(graph, tuple(frequencies), tuple(amplitudes), tuple(phases), wave)


def _triangle(angles: Array) -> Array:
    """The triangle wave that is 1 at multiples of 2 pi and -1 halfway between."""
    return jnp.abs(jnp.mod(angles, 2 * jnp.pi) - jnp.pi) * STEEPEST["triangle"] - 1


def init_network(key: RandomKey, graph: Graph, *, width: int, channels: int = 8) -> WiredNetwork:
    r"""Draw a network that is wired as a graph, with weights of He's variance.

    Inner biases are uniform on $[-\sqrt{2/n}, \sqrt{2/n}]$ for $n$ numbers that a node takes, so that kinks
    are spread over $[-1, 1]$ and beyond; without them, nodes of one leaf would all bend at zero.

    Args:
        key: The random key.
        graph: What is composed of what.
        width: The number of neurons of each node.
        channels: The number of numbers that a node passes on. With one, training gets stuck.

    Returns:
        The network; its last node has one channel.

    Raises:
        TypeError: If a number is not a whole number, or `key` is not a random key.
        ValueError: If a number is below 1.

    Example:
        >>> from jaxtheory.approximation.compositional import binary_tree
        >>> size(init_network(jax.random.key(0), binary_tree(4), width=10, channels=2))
        165

    References:
        Mhaskar and Poggio, Deep vs. shallow networks: an approximation theory perspective, 2016.
    """
    checks.random_key("key", key)
    width, channels = checks.count("width", width), checks.count("channels", channels)
    kernels, biases = [], []
    for place, taken in enumerate(graph.nodes):
        fan_in = sum(1 if one < graph.inputs else channels for one in taken)
        fan_out = channels if place < len(graph.nodes) - 1 else 1
        first, second, third = jax.random.split(jax.random.fold_in(key, place), 3)
        kernels.append((
            jax.random.normal(first, (fan_in, width)) * (2 / fan_in) ** 0.5,
            jax.random.normal(second, (width, fan_out)) * width**-0.5,
        ))  # fmt: skip
        inner = jax.random.uniform(third, (width,), minval=-1, maxval=1) * (2 / fan_in) ** 0.5
        biases.append((inner, jnp.zeros(fan_out)))
    return WiredNetwork(graph, tuple(kernels), tuple(biases))


def apply(model: Model, x: Real[AnyArray, "... inputs"]) -> Float[Array, "..."]:
    """Return the values of a compositional function, of an interpolant or of a wired network.

    Args:
        model: The function.
        x: The points; targets and interpolants are meant for entries from -1 to 1.

    Returns:
        The values of the last node.

    Raises:
        TypeError: If `x` is not an array of real numbers.
        ValueError: If the points have another dimension than the graph has leaves.

    Example:
        >>> from jaxtheory.approximation.compositional import binary_tree
        >>> target = init(jax.random.key(0), binary_tree(4))
        >>> bool((abs(apply(target, jnp.ones((3, 4)))) <= 1).all())
        True
    """
    (model, x), back = real_arrays(model=model, x=x)
    if not x.ndim or x.shape[-1] != model.graph.inputs:
        raise ValueError(
            f"x has the shape {x.shape}, but the graph has {model.graph.inputs} leaves: take "
            f"(..., {model.graph.inputs})"
        )
    return back(_values(model, x))


@jax.jit
def _values(model: Model, x: Array) -> Array:
    """The values, in the dtype of both."""
    values = [x[..., k : k + 1] for k in range(model.graph.inputs)]
    for place, taken in enumerate(model.graph.nodes):
        values.append(model.constituent(place, jnp.concatenate([values[one] for one in taken], axis=-1)))
    return values[-1][..., 0]


def size(model: Model) -> int:
    """Count the numbers that a model is made of.

    Args:
        model: A target, an interpolant or a network.

    Returns:
        The number of entries of all of its arrays.

    Example:
        >>> from jaxtheory.approximation.compositional import binary_tree
        >>> size(init(jax.random.key(0), binary_tree(2), waves=3))
        12
    """
    return sum(leaf.size for leaf in jax.tree.leaves(model))


def equal_width(inputs: int, parameters: int, *, layers: int = 1) -> int:
    """Return the width of a dense network with about as many parameters as another model.

    Args:
        inputs: The dimension.
        parameters: The number of parameters to meet, as `size` counts them.
        layers: The number of hidden layers, all of the same width; one makes a shallow network.

    Returns:
        The width, at least 1, at which the number of weights and biases is closest.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If a number is below 1.

    Example:
        >>> equal_width(8, 1001), equal_width(8, 1001, layers=2)
        (100, 27)
    """
    inputs, layers = checks.count("inputs", inputs), checks.count("layers", layers)
    parameters = checks.count("parameters", parameters)

    def missed(width: int) -> int:
        return abs((inputs + 2) * width + 1 + (layers - 1) * (width + 1) * width - parameters)

    return min(range(1, parameters // (inputs + 2) + 2), key=missed)
