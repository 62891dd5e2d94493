r"""Unrolled multilayer ISTA: a convolutional network that runs a pursuit, without a parameter more.

The multilayer model writes an image $x = W_1^T \gamma_1$ by convolutional dictionaries of which each makes
the codes of the one below, $\gamma_{i - 1} = W_i^T \gamma_i$; $W_i$ is the convolution and $W_i^T$ its
adjoint. The codes are nonnegative. The first estimate is the forward pass of a network, $\gamma_0 = x$ and
$\gamma_i \leftarrow \mathrm{relu}(c_i W_i \gamma_{i - 1} + b_i)$. An unfolding synthesises all layers down
from the deepest one, $\gamma_{i - 1} \leftarrow W_i^T \gamma_i$, and steps up again through

$\gamma_i \leftarrow \mathrm{relu}(\gamma_i - c_i W_i (W_i^T \gamma_i - \gamma_{i - 1}) + b_i)$.

Multilayer FISTA extrapolates the deepest codes before each unfolding. A linear classifier reads them after
the last one.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse.unrolled import ml_ista
    >>> params = ml_ista.init(jax.random.key(0), (28, 28), unfoldings=6)
    >>> sum(leaf.size for leaf in jax.tree.leaves(params))
    604909
    >>> ml_ista.apply(params, jnp.ones((5, 28, 28))).shape
    (5, 10)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxtheory.sparse.pytrees import _registered
from jaxtheory.sparse.unrolled.layers import AnyKey, _unroll

Images = Float[Array, "..."] | Float[np.ndarray, "..."]


@_registered
@dataclass(frozen=True)
class Parameters:
    """The layers' filters, biases and step sizes, and the classifier."""

    filters: Any
    """For each layer (height, width, channels, atoms)."""
    biases: Any
    """For each layer (atoms,), added before the rectifier: thresholds with their sign changed."""
    step_sizes: Any
    """For each layer a number."""
    weights: Any
    """(deepest codes, outputs)."""
    offsets: Any
    """(outputs,)."""
    shape: tuple[int, ...] = field(metadata={"static": True})
    """Of an image: (H, W) or (H, W, channels)."""
    strides: tuple[int, ...] = field(metadata={"static": True})
    """For each layer the step between the places at which its filters are applied."""
    unfoldings: int = field(metadata={"static": True})
    """How many times the pursuit goes down and up after the forward pass."""
    accelerated: bool = field(metadata={"static": True})
    """Whether it is multilayer FISTA."""


def init(
    key: AnyKey,
    shape: Sequence[int],
    *,
    atoms: Sequence[int] = (32, 64, 512),
    kernel_size: Sequence[int] = (6, 6, 4),
    strides: Sequence[int] = (2, 2, 1),
    outputs: int = 10,
    unfoldings: int,
    accelerated: bool = False,
    scale: float = 0.1,
) -> Parameters:
    r"""Random filters, biases of zero and step sizes of one; the defaults are the paper's network for MNIST.

    Filters are $N(0, s^2 / n)$ with $n$ the number of inputs to a unit, the classifier is uniform between
    $\pm 1 / \sqrt{n}$. The draw does not depend on the unfoldings.

    Args:
        key: A random key.
        shape: Of an image: `(H, W)`, or `(H, W, channels)`.
        atoms: The number of filters of each layer.
        kernel_size: The side of each layer's filters.
        strides: The step between the places at which they are applied; images are not padded.
        outputs: What the classifier gives.
        unfoldings: How many times the pursuit goes down and up after the forward pass; 0 for a plain network.
        accelerated: Whether it is multilayer FISTA.
        scale: $s > 0$.

    Returns:
        The parameters.

    Raises:
        ValueError: If sizes do not fit together or are below 1, unfoldings are negative, or the scale is not
            positive.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import ml_ista
        >>> params = ml_ista.init(
        ...     jax.random.key(0), (8, 8, 3), atoms=(4, 6), kernel_size=(3, 2), strides=(2, 1), unfoldings=2
        ... )
        >>> [leaf.shape for leaf in params.filters], params.weights.shape
        ([(3, 3, 3, 4), (2, 2, 4, 6)], (24, 10))

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(f"the shape of an image is (H, W) or (H, W, channels), found {tuple(shape)}")
    if not len(atoms) == len(kernel_size) == len(strides) or not atoms:
        raise ValueError(
            f"atoms {tuple(atoms)}, kernel_size {tuple(kernel_size)} and strides {tuple(strides)} are of "
            "different lengths or empty: give one number of each a layer"
        )
    if min(*atoms, *kernel_size, *strides, outputs) < 1:
        raise ValueError(
            f"atoms {tuple(atoms)}, kernel_size {tuple(kernel_size)}, strides {tuple(strides)} and outputs "
            f"{outputs} are at least 1 each"
        )
    if unfoldings < 0:
        raise ValueError(f"unfoldings is {unfoldings}: give 0, the forward pass, or more")
    if scale <= 0:
        raise ValueError(f"scale is {scale}: filters of zero never learn, give a positive one")
    sizes, channels = tuple(shape[:2]), (*shape, 1)[2]
    *keys, last = jax.random.split(key, len(atoms) + 1)
    filters = []
    for layer, (own, number, kernel, stride) in enumerate(zip(keys, atoms, kernel_size, strides)):
        fan_in = kernel * kernel * channels
        drawn = jax.random.normal(own, (kernel, kernel, channels, number))
        filters.append(drawn * (scale / math.sqrt(fan_in)))
        sizes = tuple((size - kernel) // stride + 1 for size in sizes)
        if min(sizes) < 1:
            raise ValueError(
                f"images of shape {tuple(shape)} are smaller than the filters at layer {layer + 1}: use "
                "fewer layers, or smaller kernels or strides"
            )
        channels = number
    features = math.prod(sizes) * channels
    weights = jax.random.uniform(last, (features + 1, outputs), minval=-1, maxval=1) / math.sqrt(features)
    dtype = weights.dtype
    return Parameters(
        tuple(filters),
        tuple(jnp.zeros((number,), dtype) for number in atoms),
        tuple(jnp.ones((), dtype) for _ in atoms),
        weights[:-1],
        weights[-1],
        tuple(shape),
        tuple(strides),
        unfoldings,
        accelerated,
    )


def _convolution(stride: int, filters: Array, codes: Array) -> Array:
    return lax.conv_general_dilated(
        codes,
        filters,
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )


def _products(stride: int, filters: Array, codes: Array) -> Array:
    """The same convolution by a product of matrices.

    Blocks of `stride` pixels become channels, so that filters move by one: a few slices make the patches.
    """
    kernel, _, channels, atoms = filters.shape
    steps = -(-kernel // stride)
    places = [(size - kernel) // stride + 1 for size in codes.shape[1:3]]
    blocks = [place + steps - 1 for place in places]
    room = [(0, block * stride - size, 0) for block, size in zip(blocks, codes.shape[1:3])]
    zero = jnp.zeros((), codes.dtype)
    codes = lax.pad(codes, zero, [(0, 0, 0), *room, (0, 0, 0)])
    codes = codes.reshape(len(codes), blocks[0], stride, blocks[1], stride, channels)
    codes = codes.transpose(0, 1, 3, 2, 4, 5).reshape(len(codes), *blocks, -1)
    rows = jnp.concatenate([codes[:, i : i + places[0]] for i in range(steps)], -1)
    patches = jnp.concatenate([rows[:, :, j : j + places[1]] for j in range(steps)], -1)
    lacking = steps * stride - kernel
    filters = jnp.pad(filters, ((0, lacking), (0, lacking), (0, 0), (0, 0)))
    filters = filters.reshape(steps, stride, steps, stride, channels, atoms).transpose(2, 0, 1, 3, 4, 5)
    found = jnp.matmul(
        patches.reshape(-1, patches.shape[-1]), filters.reshape(-1, atoms), precision="highest"
    )
    return found.reshape(len(codes), *places, atoms)


def _convolved(filters: Array, stride: int, codes: Array) -> Array:
    """The layer's convolution $W$, (n, H, W, channels) to (n, H', W', atoms).

    Inside of a loop, processors convolve many times slower than they multiply matrices.
    """
    return lax.platform_dependent(
        filters, codes, cpu=partial(_products, stride), default=partial(_convolution, stride)
    )


def _synthesised(filters: Array, stride: int, below: Any, codes: Array) -> Array:
    """Its adjoint $W^T$, to codes below of a known shape."""

    def adjoint(convolution: Any, filters: Array, codes: Array) -> Array:
        return jax.linear_transpose(partial(convolution, stride, filters), below)(codes)[0]

    return lax.platform_dependent(
        filters, codes, cpu=partial(adjoint, _products), default=partial(adjoint, _convolution)
    )


def _momenta(unfoldings: int) -> np.ndarray:
    """How far FISTA goes on before each of its steps."""
    t, momenta = 1.0, []
    for _ in range(unfoldings):
        t, before = (1 + math.sqrt(1 + 4 * t**2)) / 2, t
        momenta.append((before - 1) / t)
    return np.asarray(momenta)


def _pursued(params: Parameters, x: Images, iterates: bool, remat: bool) -> Array:
    """The deepest codes, (..., H', W', atoms), those of all unfoldings with a first axis."""
    images = len(params.shape)
    if jnp.shape(x)[-images:] != params.shape:
        needed = f"(..., {', '.join(map(str, params.shape))})"
        raise ValueError(f"these parameters are for images {needed}, found {jnp.shape(x)}: reshape them")
    dtype = jnp.result_type(x, *params.filters)
    leading = jnp.shape(x)[: jnp.ndim(x) - images]
    x = jnp.asarray(x, dtype).reshape(-1, *(*params.shape, 1)[:3])
    layers = tuple(zip(params.filters, params.biases, params.step_sizes, params.strides))

    codes, shapes = x, []
    for filters, bias, step_size, stride in layers:
        shapes.append(jax.ShapeDtypeStruct(codes.shape, dtype))
        codes = jax.nn.relu(step_size * _convolved(filters, stride, codes) + bias)

    def unfold(carry, momentum):
        codes, before = carry
        estimates = [codes + momentum * (codes - before) if params.accelerated else codes]
        for (filters, _, _, stride), below in zip(reversed(layers), reversed(shapes)):
            estimates.append(_synthesised(filters, stride, below, estimates[-1]))
        below, above = x, codes
        for (filters, bias, step_size, stride), estimate, made in zip(
            layers, estimates[-2::-1], estimates[:0:-1]
        ):
            below = jax.nn.relu(estimate - step_size * _convolved(filters, stride, made - below) + bias)
        return below, above

    momenta = jnp.asarray(_momenta(params.unfoldings), dtype)
    if params.unfoldings:
        unfolded = _unroll(
            unfold, (codes, codes), momenta, params.unfoldings, iterates=iterates, remat=remat
        )[0]
        codes = jnp.concatenate([codes[None], unfolded]) if iterates else unfolded
    elif iterates:
        codes = codes[None]
    stacked = codes.shape[:1] if iterates else ()
    return codes.reshape(*stacked, *leading, *codes.shape[-3:])


@partial(jax.jit, static_argnames=("iterates", "remat"))
def encode(
    params: Parameters, x: Images, *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    """The deepest codes after the last unfolding.

    Args:
        params: What `init` returned, or what became of it.
        x: Images, shape `(..., *shape)`.
        iterates: Whether to return the codes of the forward pass and after each unfolding.
        remat: Whether reverse mode keeps only the codes between unfoldings and computes what is inside again.

    Returns:
        Shape `(..., H', W', atoms)`, for the iterates with a first axis `(unfoldings + 1,)`; nonnegative.

    Raises:
        ValueError: If the images are of another shape.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import ml_ista
        >>> params = ml_ista.init(jax.random.key(0), (28, 28), unfoldings=2)
        >>> ml_ista.encode(params, jnp.ones((5, 28, 28)), iterates=True).shape
        (3, 5, 1, 1, 512)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    return _pursued(params, x, iterates, remat)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def apply(
    params: Parameters, x: Images, *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    """What the classifier makes of the deepest codes.

    Args:
        params: What `init` returned, or what became of it.
        x: Images, shape `(..., *shape)`.
        iterates: Whether to classify the codes of the forward pass and after each unfolding.
        remat: Whether reverse mode keeps only the codes between unfoldings and computes what is inside again.

    Returns:
        Shape `(..., outputs)`, for the iterates with a first axis `(unfoldings + 1,)`.

    Raises:
        ValueError: If the images are of another shape.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import ml_ista
        >>> params = ml_ista.init(jax.random.key(0), (28, 28), unfoldings=2, accelerated=True)
        >>> ml_ista.apply(params, jnp.ones((5, 28, 28)), iterates=True).shape
        (3, 5, 10)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    codes = _pursued(params, x, iterates, remat)
    flat = codes.reshape(*codes.shape[:-3], -1)
    return jnp.matmul(flat, params.weights, precision="highest") + params.offsets
