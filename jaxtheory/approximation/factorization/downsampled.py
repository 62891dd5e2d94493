"""Downsampled deep convolutional networks, and dense ReLU layers and ridge functions written as such."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.approximation.factorization.filters import TRIM, factorize
from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey


@record
class ConvolutionalNetwork:
    """A deep convolutional ReLU network with one channel, whose blocks of layers end in downsampling."""

    filters: tuple[Float[AnyArray, "_ _"], ...]
    """The filters of each block."""
    biases: tuple[Float[AnyArray, "_ _"], ...]
    """The biases of each block, zeros beyond the width of a layer."""
    inputs: int = static()
    """The length of the input."""
    strides: tuple[int, ...] = static()
    """The stride m of each block, of whose last layer the entries m, 2m, ..., counted from 1, are kept."""
    outputs: tuple[int, ...] = static()
    """The number of entries that each block keeps."""


def init(
    key: RandomKey, inputs: int, *, s: int, layers: tuple[int, ...], strides: tuple[int, ...]
) -> ConvolutionalNetwork:
    r"""Draw a downsampled convolutional network with filters from $N(0, 2 / (s + 1))$, and no biases.

    Block $i$ has $J_i$ layers, which widen $d$ to $d + J_i s$, and keeps every $m_i$-th entry.

    Args:
        key: The random key.
        inputs: The length of the input.
        s: The degree of the filters, at least 1.
        layers: The number of layers $J_i$ of each block.
        strides: The stride $m_i$ at the end of each block, at most the width that it has there.

    Returns:
        The network.

    Raises:
        TypeError: If a number is not a whole number, or `key` is not a random key.
        ValueError: If a number is out of range, or the blocks are none or differ in number.

    Example:
        >>> network = init(jax.random.key(0), 8, s=2, layers=(4, 3), strides=(8, 2))
        >>> network.outputs
        (2, 4)

    References:
        Zhou, Theory of deep convolutional neural networks: downsampling, 2020.
    """
    checks.random_key("key", key)
    width, s = checks.count("inputs", inputs), checks.count("s", s)
    if not layers or len(layers) != len(strides):
        raise ValueError(
            f"layers are {len(layers)} and strides {len(strides)}: take one of each for every block"
        )
    filters, biases, outputs = [], [], []
    for block, (number, stride) in enumerate(zip(layers, strides)):
        width = width + checks.count("layers", number) * s
        stride = checks.count("strides", stride, most=width)
        draws = jax.random.normal(jax.random.fold_in(key, block), (number, s + 1))
        filters.append(draws * (2 / (s + 1)) ** 0.5)
        biases.append(jnp.zeros((number, width), draws.dtype))
        width = width // stride
        outputs.append(width)
    return ConvolutionalNetwork(
        tuple(filters), tuple(biases), inputs=int(inputs), strides=tuple(strides), outputs=tuple(outputs)
    )


def apply(network: ConvolutionalNetwork, x: Real[AnyArray, "... inputs"]) -> Float[Array, "... outputs"]:
    r"""Return the entries that the last block of a network keeps.

    Args:
        network: The network.
        x: The inputs.

    Returns:
        The outputs, which are not negative.

    Raises:
        TypeError: If `x` is not an array of real numbers.
        ValueError: If `x` has another length than the network's input.

    Example:
        >>> network = init(jax.random.key(0), 8, s=2, layers=(4, 3), strides=(8, 2))
        >>> apply(network, jnp.ones((5, 8))).shape
        (5, 4)

    References:
        Zhou, Theory of deep convolutional neural networks: downsampling, 2020.
    """
    (network, x), back = real_arrays(network=network, x=x)
    checks.axes("x", x, "...", "inputs", sizes=(network.inputs,))
    return back(_outputs(network, x))


@jax.jit
def _outputs(network: ConvolutionalNetwork, x: Array) -> Array:
    """The outputs, in the dtype of both."""
    for filters, biases, stride, kept in zip(
        network.filters, network.biases, network.strides, network.outputs
    ):
        x = _block(filters, biases, x)[..., stride - 1 :: stride][..., :kept]
    return x


def chain(*networks: ConvolutionalNetwork) -> ConvolutionalNetwork:
    """Compose networks, of which each takes the outputs of the one before.

    Args:
        *networks: The networks, at least one, the first to be applied first.

    Returns:
        The network of all their blocks.

    Raises:
        ValueError: If there is none, or one takes another number of inputs than the one before has outputs.

    Example:
        >>> one = init(jax.random.key(0), 8, s=2, layers=(4,), strides=(4,))
        >>> chain(one, init(jax.random.key(1), 4, s=2, layers=(1,), strides=(1,))).outputs
        (4, 6)
    """
    if not networks:
        raise ValueError("networks are none: take at least one")
    for one, (before, after) in enumerate(pairwise(networks), 1):
        if before.outputs[-1] != after.inputs:
            raise ValueError(
                f"network {one} has {before.outputs[-1]} outputs, but network {one + 1} takes {after.inputs} "
                "inputs: take networks that chain"
            )
    joined = {
        name: sum((getattr(one, name) for one in networks), ())
        for name in ("filters", "biases", "strides", "outputs")
    }
    return ConvolutionalNetwork(**joined, inputs=networks[0].inputs)


def free_parameters(network: ConvolutionalNetwork) -> int:
    r"""Count the free parameters of a network whose inner layers have biases that are constant inside.

    A layer of degree $s$ has $s + 1$ taps and $2 s + 1$ biases, of which one is that of all entries but the
    first and the last $s$; the last layer of a block has one for each entry that is kept instead.

    Args:
        network: The network.

    Returns:
        The number.

    Example:
        >>> free_parameters(init(jax.random.key(0), 8, s=2, layers=(4,), strides=(8,)))
        29

    References:
        Zhou, Universality of deep convolutional neural networks, 2020, theorem 2: $3 s + 2$ for each layer
        but the last.
    """
    total = 0
    for filters, kept in zip(network.filters, network.outputs):
        layers, taps = filters.shape
        total += layers * taps + (layers - 1) * (2 * taps - 1) + kept
    return total


def from_dense(
    kernel: Real[AnyArray, "inputs neurons"],
    bias: Real[AnyArray, " neurons"],
    s: int,
    *,
    bound: float | int = 1.0,
    trim: float | int = TRIM,
) -> ConvolutionalNetwork:
    r"""Rewrite a dense ReLU layer $x \mapsto \max(x K + b, 0)$ as a deep convolutional network.

    The columns of the kernel, reversed and put one after the other, are a filter whose convolution with $x$
    has the products at every $d$-th place. It is factored; before the last layer, biases of
    $|x|_\infty \|w^{(k)} * \dots * w^{(1)}\|_1$ keep every ReLU in its linear part. These are norms of
    partial products: products of the factors' norms, as in the theorem's proof, grow until rounding destroys
    the outputs.

    Args:
        kernel: The weights, at most some thousand, as they are one filter.
        bias: The biases.
        s: The degree of the filters, at least 2.
        bound: The largest magnitude of an entry of the input, positive: beyond it, outputs are others.
        trim: The part of the largest weight below which weights at either end of the filter count as zero.

    Returns:
        The network, with as many outputs as the layer has neurons. What cancels in its last layer costs some
        five digits at a thousand weights: take double precision.

    Raises:
        TypeError: If an array is not of real numbers, or `s` is not a whole number.
        ValueError: If the shapes do not fit, there are fewer weights than a filter has taps, all are zero, or
            a number is out of range.

    Example:
        >>> kernel = np.array([[1.0, 0.5], [-2.0, 1.0]], np.float32)
        >>> network = from_dense(kernel, np.array([0.5, 0.0], np.float32), 2)
        >>> apply(network, np.array([0.5, -1.0], np.float32))
        Array([3., 0.], dtype=float32)

    References:
        Zhou, Theory of deep convolutional neural networks: downsampling, 2020, theorem on fully connected
        networks.
    """
    weights = np.asarray(as_array("kernel", kernel))
    checks.axes("kernel", weights, "inputs", "neurons")
    inputs, neurons = weights.shape
    checks.axes("bias", as_array("bias", bias), "neurons", sizes=(neurons,))
    checks.positive("bound", bound)
    s = checks.count("s", s, least=2)
    if weights.size <= s:
        raise ValueError(f"kernel has {weights.size} weights: take at least s + 1 = {s + 1}, or a smaller s")
    (converted, _), _ = real_arrays(kernel=kernel, bias=bias)
    row = np.asarray(weights[::-1].T.reshape(-1), float)
    factors = factorize(row, s, trim=trim)
    offset, last = float(bound) * np.abs(row).sum(), len(factors) - 1
    biases = np.zeros((len(factors), max(inputs + len(factors) * s, inputs * neurons)))
    before = np.zeros(inputs)
    for layer, factor in enumerate(factors):
        # What the offset of the layer before has become is taken off again.
        arrived = np.convolve(before, factor)
        before = np.full(len(arrived), offset)
        biases[layer, : len(arrived)] = (0 if layer == last else before) - arrived
    biases[-1, inputs - 1 : inputs * neurons : inputs] += np.asarray(bias, float)
    arrays = (jnp.asarray(one, converted.dtype) for one in (factors, biases))
    filters, biases = ((one,) for one in arrays)
    return ConvolutionalNetwork(filters, biases, inputs=inputs, strides=(inputs,), outputs=(neurons,))


def from_ridge(
    direction: Real[AnyArray, " inputs"],
    knots: Real[AnyArray, " knots"],
    values: Real[AnyArray, " knots"],
    s: int,
    *,
    bound: float | int = 1.0,
) -> tuple[ConvolutionalNetwork, Float[Array, " outputs"]]:
    r"""Write a ridge function $g(\xi \cdot x)$ of piecewise linear $g$ as a convolutional network.

    A block of $p$ layers makes the one number $\xi \cdot x$, a second block, of one layer, the ReLUs
    $\max(\xi \cdot x - t_i, 0)$ of all knots but the last.

    Args:
        direction: The direction $\xi$, of at least `s + 1` entries.
        knots: The knots $t_i$, at least two, increasing; beyond the ends, $g$ is extended.
        values: The values of $g$ at the knots.
        s: The degree of the filters in the first block, at least 2.
        bound: The largest magnitude of an entry of the input, positive.

    Returns:
        The network, and coefficients $c$: the function is `values[0] + apply(network, x) @ c`. It is constant
        before the first knot.

    Raises:
        TypeError: If an array is not of real numbers, or `s` is not a whole number.
        ValueError: If the shapes do not fit, the direction is zero or too short, or the knots do not
            increase.

    Example:
        >>> direction, knots = np.float32([0.6, 0.0, 0.8]), np.float32([-1, 0, 1])
        >>> network, coefficients = from_ridge(direction, knots, np.abs(knots), 2)
        >>> 1 + apply(network, np.float32([[0.5, 0.3, 0.5], [-1, 0, 0]])) @ coefficients
        Array([0.7, 0.6], dtype=float32)

    References:
        Zhou, Theory of deep convolutional neural networks: downsampling, 2020, theorem on ridge functions.
    """
    found = [np.asarray(as_array(name, one)) for name, one in (("knots", knots), ("values", values))]
    checks.axes("direction", as_array("direction", direction), "inputs")
    checks.axes("knots", found[0], "knots")
    checks.axes("values", found[1], "knots", sizes=found[0].shape)
    (slopes,), _ = real_arrays(direction=direction)
    at, heights = (np.asarray(one, float) for one in found)
    if len(at) < 2 or (np.diff(at) <= 0).any():
        raise ValueError("knots do not increase: take at least two numbers, each larger than the one before")
    lift = float(bound) * np.abs(np.asarray(direction, float)).sum()
    first = from_dense(np.asarray(slopes)[:, None], np.full(1, lift, slopes.dtype), s, bound=bound)
    second = ConvolutionalNetwork(
        (jnp.ones((1, len(at) - 1), slopes.dtype),),
        (jnp.asarray(-lift - at[None, :-1], slopes.dtype),),
        inputs=1,
        strides=(1,),
        outputs=(len(at) - 1,),
    )
    coefficients = np.diff(np.diff(heights) / np.diff(at), prepend=0)
    return chain(first, second), jnp.asarray(coefficients, slopes.dtype)


def _block(filters: Array, biases: Array, x: Array) -> Array:
    """The last layer of a block, all layers being as wide as that."""
    degree, width = filters.shape[1] - 1, biases.shape[1]
    wide = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, width - x.shape[-1])])

    def layer(h: Array, weights: tuple[Array, Array]) -> tuple[Array, None]:
        taps, bias = weights
        padded = jnp.pad(h, [(0, 0)] * (h.ndim - 1) + [(degree, 0)])
        convolved = sum(taps[k] * padded[..., degree - k : degree - k + width] for k in range(degree + 1))
        return jnp.maximum(convolved + bias, 0), None

    return jax.lax.scan(layer, wide, (filters, biases))[0]
