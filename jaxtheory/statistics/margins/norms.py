"""Norms of the layers of a network: of dense weights, and of linear functions by products alone."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks, trees
from jaxtheory.core.linalg import squared_norm
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey

BLOCK = 256
"""The number of output units whose incoming weights are computed at once."""


@record
class LayerNorms:
    """The norms of all layers of a network, in any order."""

    spectral: Float[AnyArray, "... layers"]
    """The spectral norms, largest singular values."""
    two_one: Float[AnyArray, "... layers"]
    """The sums over output units of the norm of their incoming weights, less those of the reference."""
    width: int = static()
    """The largest number of units of a layer, the input's among them."""


def dense_norms(params: PyTree, *, reference: PyTree | None = None) -> LayerNorms:
    r"""Return the norms of all dense layers of a network, exactly.

    Every leaf of two axes is the matrix $A$, `(inputs, outputs)`, of a layer, whose norms are the largest
    singular value $\|A\|_\sigma$ and $\|A - M\|_{2,1} = \sum_j \big(\sum_i (a_{ij} - m_{ij})^2\big)^{1/2}$,
    with $M$ the matrix of the reference. Leaves of one axis are taken for biases and left out.

    Args:
        params: The parameters of the network.
        reference: The parameters $M$ from which the (2,1) norms are measured, such as those at the start of
            training, in the structure of `params`. `None` stands for zeros.

    Returns:
        The norms.

    Raises:
        TypeError: If a leaf is not an array of real floating-point numbers.
        ValueError: If a leaf has neither one axis nor two, none has two, or the reference is of another form.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import margins
        >>> found = margins.dense_norms([jnp.diag(jnp.array([3.0, 4.0])), jnp.ones((2, 1))])
        >>> found.spectral.round(4).tolist(), found.two_one.round(4).tolist(), found.width
        ([4.0, 1.4142], [7.0, 1.4142], 2)

    References:
        Peter Bartlett, Dylan Foster and Matus Telgarsky, "Spectrally-normalized margin bounds for neural
        networks", 2017.
    """
    params = trees.real_leaves("params", params)
    started = None if reference is None else trees.same_form("reference", reference, params)
    spectral, two_one, width = [], [], 0
    origins = [None] * len(jax.tree.leaves(params)) if started is None else jax.tree.leaves(started)
    for (path, leaf), origin in zip(jax.tree_util.tree_leaves_with_path(params), origins):
        if leaf.ndim not in (1, 2):
            raise ValueError(
                f"params{jax.tree_util.keystr(path)} has the shape {leaf.shape}: take dense layers "
                "(inputs, outputs), and give the norms of others, from spectral_norm and two_one_norm"
            )
        if leaf.ndim == 2:
            matrix = leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
            moved = matrix if origin is None else matrix - origin.astype(matrix.dtype)
            spectral.append(jnp.sqrt(squared_norm(matrix)))
            two_one.append(jnp.sum(jnp.linalg.norm(moved, axis=0)))
            width = max(width, *leaf.shape)
    if not spectral:
        raise ValueError("params hold no array of two axes: take a network with a dense layer")
    return LayerNorms(jnp.stack(spectral), jnp.stack(two_one), width)


def spectral_norm(
    linear: Callable[[Array], Array],
    shape: Sequence[int],
    key: RandomKey,
    *,
    tolerance: float = 1e-4,
    max_steps: int = 10_000,
) -> Float[Array, ""]:
    r"""Return the largest singular value of a linear function, by the power method.

    $v \leftarrow A^T A v / \|A^T A v\|$ from a random start, until $\|A^T A v - \sigma^2 v\|$ is at most
    `tolerance` times $\sigma^2 = \|A v\|^2$. Products with $A$ are directional derivatives and those with
    $A^T$ are pullbacks, so that no matrix is formed: convolutions are taken as they act on images, border
    included. The result is a lower bound, off by at most half the tolerance from a singular value, and in
    general by its square over the relative gap to the next one. It is differentiable in what `linear` holds.

    Args:
        linear: The function on arrays of the shape, in the default precision; of an affine one, as a layer
            with a bias is, the linear part is meant.
        shape: The shape of the arrays that it takes.
        key: The random key of the start.
        tolerance: The relative residual at which to stop, positive; 1e-6 is what single precision can reach.
        max_steps: The largest number of steps, at least 1, each of one product with $A$ and one with $A^T$.

    Returns:
        The singular value.

    Raises:
        TypeError: If `max_steps` or an entry of the shape is not a whole number, or `key` is not a random
            key.
        ValueError: If the tolerance, the number of steps or the shape is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.statistics import margins
        >>> differences = lambda x: x[1:] - x[:-1]
        >>> round(float(margins.spectral_norm(differences, (3,), jax.random.key(0))), 4)
        1.7321

    References:
        Yuichi Yoshida and Takeru Miyato, "Spectral norm regularization for improving the generalizability of
        deep learning", 2017.
    """
    zeros = _origin(shape)
    checks.random_key("key", key)
    checks.positive("tolerance", tolerance, one=True)
    max_steps = checks.count("max_steps", max_steps)

    def image(vector: Array) -> Array:
        return jax.jvp(linear, (zeros,), (vector,))[1]

    def product(vector: Array) -> tuple[Array, Array]:
        """A^T A v, and ‖A v‖²."""
        forward = image(vector)
        return jax.vjp(linear, zeros)[1](forward)[0], jnp.sum(forward**2).astype(zeros.dtype)

    def goes_on(carry: tuple[Array, ...]) -> Array:
        _, residual, square, steps = carry
        return (residual > tolerance * square) & (steps < max_steps)

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        vector, _, _, steps = carry
        moved, square = product(vector)
        return _unit(moved), jnp.linalg.norm(moved - square * vector), square, steps + 1

    start = (_unit(jax.random.normal(key, zeros.shape)), *jnp.array([jnp.inf, 1.0], zeros.dtype), 0)
    vector = lax.stop_gradient(lax.while_loop(goes_on, step, start)[0])
    # Its derivative at a singular vector that is held fixed is that of the singular value.
    return jnp.linalg.norm(image(vector))


def two_one_norm(
    linear: Callable[[Array], Array], shape: Sequence[int], *, block: int = BLOCK
) -> Float[Array, ""]:
    r"""Return the sum over output units of the Euclidean norm of their incoming weights, exactly.

    $\sum_j \|A^T e_j\|$, the norm $\|A^T\|_{2,1}$ of Bartlett, Foster and Telgarsky, with a pullback for each
    output unit. For the distance from a reference, take the difference of two linear functions.

    Args:
        linear: The function on arrays of the shape, in the default precision; of an affine one the linear
            part is meant.
        shape: The shape of the arrays that it takes.
        block: The number of output units that are handled at once, at least 1.

    Returns:
        The norm.

    Raises:
        TypeError: If `block` or an entry of the shape is not a whole number.
        ValueError: If the block or the shape is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import margins
        >>> differences = lambda x: x[1:] - x[:-1]
        >>> round(float(margins.two_one_norm(differences, (3,))), 4)
        2.8284

    References:
        Peter Bartlett, Dylan Foster and Matus Telgarsky, "Spectrally-normalized margin bounds for neural
        networks", 2017.
    """
    zeros = _origin(shape)
    block = checks.count("block", block)
    output, pullback = jax.vjp(linear, zeros)
    units = math.prod(output.shape)

    def incoming(unit: Array) -> Array:
        one = jnp.zeros(units, output.dtype).at[unit].set(1).reshape(output.shape)
        return jnp.linalg.norm(pullback(one)[0])

    return jnp.sum(lax.map(incoming, jnp.arange(units), batch_size=min(block, units)))


def _origin(shape: Sequence[int]) -> Array:
    """The array of zeros of a shape."""
    words = "the shape of an array, a tuple of whole numbers of at least 1"
    return jnp.zeros([checks.count("shape", one) for one in checks.entries("shape", shape, words)])


def _unit(vector: Array) -> Array:
    """A vector of norm one, or zero."""
    tiny = jnp.finfo(vector.dtype).tiny
    vector = vector / jnp.maximum(jnp.max(jnp.abs(vector)), tiny)
    return vector / jnp.maximum(jnp.linalg.norm(vector), tiny)
