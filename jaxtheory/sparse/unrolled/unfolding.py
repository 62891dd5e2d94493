r"""Unrolled multilayer ISTA: a convolutional network that runs a pursuit, with no more parameters.

The multilayer model writes an image $x = W_1^T \gamma_1$ by convolutional dictionaries each of which
synthesizes the codes of the layer below, $\gamma_{i - 1} = W_i^T \gamma_i$; $W_i$ is the convolution and
$W_i^T$ its adjoint. The codes are nonnegative. The first estimate is the forward pass of a network, $\gamma_0
= x$ and $\gamma_i \leftarrow \mathrm{relu}(c_i W_i \gamma_{i - 1} + b_i)$. An unfolding synthesizes all
layers down from the deepest one, $\gamma_{i - 1} \leftarrow W_i^T \gamma_i$, and steps up again through

$\gamma_i \leftarrow \mathrm{relu}(\gamma_i - c_i W_i (W_i^T \gamma_i - \gamma_{i - 1}) + b_i)$.

Multilayer FISTA extrapolates the deepest codes before each unfolding. A linear classifier reads them after
the last one.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse.unrolled import unfolding
    >>> params = unfolding.init(jax.random.key(0), (28, 28), unfoldings=6)
    >>> sum(leaf.size for leaf in jax.tree.leaves(params))
    604909
    >>> unfolding.apply(params, jnp.ones((5, 28, 28))).shape
    (5, 10)
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey
from jaxtheory.sparse.unrolled.layers import applied, unroll

AXES = ("height", "width", "channels")
"""The last axes of images; those of gray ones are the first two."""


@record
class Parameters:
    """The layers' filters, biases and step sizes, and the classifier."""

    filters: tuple[Float[AnyArray, "_ _ _ _"], ...]
    """The filters of each layer."""
    biases: tuple[Float[AnyArray, " _"], ...]
    """The biases of each layer, added before the rectifier: thresholds with their sign changed."""
    step_sizes: tuple[Float[AnyArray, ""] | float, ...]
    """The step size of each layer."""
    weights: Float[AnyArray, "codes outputs"]
    """The weights of the classifier of the deepest codes."""
    offsets: Float[AnyArray, " outputs"]
    """The offsets of the classifier."""
    shape: tuple[int, ...] = static()
    """The shape of an image: `(H, W)`, or `(H, W, channels)`."""
    strides: tuple[int, ...] = static()
    """The step between the places at which the filters of each layer are applied."""
    unfoldings: int = static()
    """The number of times that the pursuit goes down and up after the forward pass."""
    accelerated: bool = static()
    """Whether it is multilayer FISTA."""


def init(
    key: RandomKey,
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
    r"""Draw random filters, with biases of zero and step sizes of one.

    The defaults are the paper's network for MNIST. Filters are $N(0, s^2 / n)$ with $n$ the number of inputs
    to a unit, the classifier is uniform between $\pm 1 / \sqrt{n}$. The draw does not depend on the
    unfoldings.

    Args:
        key: The random key.
        shape: The shape of an image: `(H, W)`, or `(H, W, channels)`.
        atoms: The number of atoms of each layer.
        kernel_size: The side of each layer's square filters.
        strides: The step between the places at which each layer's filters are applied; images are not padded.
        outputs: The number of outputs of the classifier.
        unfoldings: The number of times that the pursuit goes down and up after the forward pass; 0 gives a
            plain network.
        accelerated: Whether it is multilayer FISTA.
        scale: The factor $s > 0$ on the filters.

    Returns:
        The parameters.

    Raises:
        ValueError: If sizes do not fit together or are below 1, unfoldings are negative, or the scale is not
            positive.
        TypeError: If a size is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import unfolding
        >>> params = unfolding.init(
        ...     jax.random.key(0), (8, 8, 3), atoms=(4, 6), kernel_size=(3, 2), strides=(2, 1), unfoldings=2
        ... )
        >>> [leaf.shape for leaf in params.filters], params.weights.shape
        ([(3, 3, 3, 4), (2, 2, 4, 6)], (24, 10))

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    checks.random_key("key", key)
    shape = checks.sizes("shape", shape, ("H", "W"), ("H", "W", "channels"))
    given = {"atoms": atoms, "kernel_size": kernel_size, "strides": strides}
    atoms, kernel_size, strides = (checks.counts(name, one, each="layer") for name, one in given.items())
    if not len(atoms) == len(kernel_size) == len(strides) or not atoms:
        raise ValueError(
            f"atoms is {atoms}, kernel_size {kernel_size} and strides {strides}: take one number of each for "
            "each layer"
        )
    outputs = checks.count("outputs", outputs)
    unfoldings = checks.count("unfoldings", unfoldings, least=0)
    checks.positive("scale", scale, one=True)
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
                f"shape is {shape}, too small for the filters of layer {layer + 1}: take larger images, "
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
        shape,
        strides,
        unfoldings,
        checks.flag("accelerated", accelerated),
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
    """The layer's convolution by a product of matrices."""
    # Blocks of `stride` pixels become channels, so that filters move by one: a few slices make the patches.
    kernel, _, channels, atoms = filters.shape
    steps = -(-kernel // stride)
    places = [(size - kernel) // stride + 1 for size in codes.shape[1:3]]
    blocks = [place + steps - 1 for place in places]
    room = [(0, block * stride - size, 0) for block, size in zip(blocks, codes.shape[1:3])]
    zero = jnp.zeros((), codes.dtype)
    codes = lax.pad(codes, zero, [(0, 0, 0), *room, (0, 0, 0)])
    codes = codes.reshape(len(codes), blocks[0], stride, blocks[1], stride, channels)
    codes = codes.transpose(0, 1, 3, 2, 4, 5).reshape(len(codes), *blocks, stride * stride * channels)
    rows = jnp.concatenate([codes[:, i : i + places[0]] for i in range(steps)], -1)
    patches = jnp.concatenate([rows[:, :, j : j + places[1]] for j in range(steps)], -1)
    lacking = steps * stride - kernel
    filters = jnp.pad(filters, ((0, lacking), (0, lacking), (0, 0), (0, 0)))
    filters = filters.reshape(steps, stride, steps, stride, channels, atoms).transpose(2, 0, 1, 3, 4, 5)
    found = matmul(patches.reshape(-1, patches.shape[-1]), filters.reshape(-1, atoms))
    return found.reshape(len(codes), *places, atoms)


def _convolved(filters: Array, stride: int, codes: Array) -> Array:
    """The layer's convolution $W$, (n, H, W, channels) to (n, H', W', atoms)."""
    # Inside of a loop, processors convolve many times slower than they multiply matrices.
    return lax.platform_dependent(
        filters, codes, cpu=partial(_products, stride), default=partial(_convolution, stride)
    )


def _synthesized(filters: Array, stride: int, below: jax.ShapeDtypeStruct, codes: Array) -> Array:
    """Its adjoint $W^T$, to codes below of a known shape."""

    def adjoint(convolution: Callable[..., Array], filters: Array, codes: Array) -> Array:
        return jax.linear_transpose(partial(convolution, stride, filters), below)(codes)[0]

    return lax.platform_dependent(
        filters, codes, cpu=partial(adjoint, _products), default=partial(adjoint, _convolution)
    )


def _momenta(unfoldings: int) -> np.ndarray:
    """How far FISTA extrapolates before each of its steps."""
    t, momenta = 1.0, []
    for _ in range(unfoldings):
        t, before = (1 + math.sqrt(1 + 4 * t**2)) / 2, t
        momenta.append((before - 1) / t)
    return np.asarray(momenta)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def _pursued(params: Parameters, x: Array, *, iterates: bool, remat: bool) -> Array:
    """The deepest codes, (..., H', W', atoms), those of all unfoldings with a first axis."""
    leading = x.shape[: x.ndim - len(params.shape)]
    x = x.reshape(math.prod(leading), *(*params.shape, 1)[:3])
    layers = tuple(zip(params.filters, params.biases, params.step_sizes, params.strides))

    codes, shapes = x, []
    for filters, bias, step_size, stride in layers:
        shapes.append(jax.ShapeDtypeStruct(codes.shape, x.dtype))
        codes = jax.nn.relu(step_size * _convolved(filters, stride, codes) + bias)

    def unfold(carry: tuple[Array, Array], momentum: Array) -> tuple[Array, Array]:
        codes, before = carry
        estimates = [codes + momentum * (codes - before) if params.accelerated else codes]
        for (filters, _, _, stride), below in zip(reversed(layers), reversed(shapes)):
            estimates.append(_synthesized(filters, stride, below, estimates[-1]))
        below, above = x, codes
        for (filters, bias, step_size, stride), estimate, made in zip(
            layers, estimates[-2::-1], estimates[:0:-1]
        ):
            below = jax.nn.relu(estimate - step_size * _convolved(filters, stride, made - below) + bias)
        return below, above

    momenta = jnp.asarray(_momenta(params.unfoldings), x.dtype)
    if params.unfoldings:
        unfolded = unroll(unfold, (codes, codes), momenta, params.unfoldings, iterates=iterates, remat=remat)[
            0
        ]
        codes = jnp.concatenate([codes[None], unfolded]) if iterates else unfolded
    elif iterates:
        codes = codes[None]
    stacked = codes.shape[:1] if iterates else ()
    return codes.reshape(*stacked, *leading, *codes.shape[-3:])


def encode(
    params: Parameters, x: Real[AnyArray, "..."], *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    """Return the deepest codes after the last unfolding.

    Args:
        params: The parameters, as `init` returned them or as training left them.
        x: The images, with the shape of the parameters at the end.
        iterates: Whether to return the codes of the forward pass and after each unfolding, with a first axis
            of length `unfoldings + 1`.
        remat: Whether reverse mode stores only the codes between unfoldings and recomputes what lies inside
            them.

    Returns:
        The codes `(..., H', W', atoms)`, which are nonnegative, or the iterates.

    Raises:
        ValueError: If the images are of another shape.
        TypeError: If the images are not real, or a flag is not one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import unfolding
        >>> params = unfolding.init(jax.random.key(0), (28, 28), unfoldings=2)
        >>> unfolding.encode(params, jnp.ones((5, 28, 28)), iterates=True).shape
        (3, 5, 1, 1, 512)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    axes = AXES[: len(params.shape)]
    return applied(_pursued, params, x, axes, params.shape, iterates=iterates, remat=remat)


def apply(
    params: Parameters, x: Real[AnyArray, "..."], *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    """Return the outputs of the linear classifier of the deepest codes.

    Args:
        params: The parameters, as `init` returned them or as training left them.
        x: The images, with the shape of the parameters at the end.
        iterates: Whether to classify the codes of the forward pass and after each unfolding, with a first
            axis of length `unfoldings + 1`.
        remat: Whether reverse mode stores only the codes between unfoldings and recomputes what lies inside
            them.

    Returns:
        The outputs `(..., outputs)`, or those of the iterates.

    Raises:
        ValueError: If the images are of another shape.
        TypeError: If the images are not real, or a flag is not one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import unfolding
        >>> params = unfolding.init(jax.random.key(0), (28, 28), unfoldings=2, accelerated=True)
        >>> unfolding.apply(params, jnp.ones((5, 28, 28)), iterates=True).shape
        (3, 5, 10)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    axes = AXES[: len(params.shape)]
    return applied(_classified, params, x, axes, params.shape, iterates=iterates, remat=remat)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def _classified(params: Parameters, x: Array, *, iterates: bool, remat: bool) -> Array:
    codes = _pursued(params, x, iterates=iterates, remat=remat)
    flat = codes.reshape(*codes.shape[:-3], math.prod(codes.shape[-3:]))
    return matmul(flat, params.weights) + params.offsets
