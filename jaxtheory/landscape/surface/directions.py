r"""Directions and planes in the space of parameters, along which a loss is looked at.

Random directions are scaled to the network, so that pictures of networks whose weights differ in size can be
compared: a ReLU network is the same function when a layer is multiplied by a number and the next one divided
by it, but a direction of fixed length is then another one relative to the weights.
"""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.core.roots import root
from jaxtheory.core.trees import gram, inner, leading_length, real_leaves, same_form
from jaxtheory.core.types import RandomKey

Normalization = Literal["filter", "layer", "none"]
"""What a random direction is scaled to: each filter's norm, each array's, or nothing."""


@record
class Plane:
    """A plane in the space of parameters, with the points that it was made from."""

    origin: PyTree
    """The parameters at the coordinates (0, 0)."""
    directions: PyTree
    """Two orthonormal directions, stacked on a leading axis of every leaf."""
    coordinates: Float[Array, "points 2"]
    """The coordinates of the points."""


@record
class TrajectoryPlane:
    """The plane of the principal directions of a trajectory."""

    origin: PyTree
    """The last point of the trajectory, at the coordinates of zero."""
    directions: PyTree
    """The orthonormal principal directions, stacked on a leading axis of every leaf."""
    coordinates: Float[Array, "points directions"]
    """The projections of the trajectory's points on the directions."""
    explained: Float[Array, " directions"]
    """The share of the trajectory's variance along each direction."""


def random_directions(
    key: RandomKey,
    params: PyTree,
    *,
    directions: int = 2,
    normalization: Normalization = "filter",
    axis: int = -1,
    biases: bool = False,
) -> PyTree:
    r"""Draw Gaussian directions, scaled filter by filter to the norms of the parameters.

    A filter $d_j$ of a direction becomes $d_j \|\theta_j\| / \|d_j\|$, with $\theta_j$ the same filter of the
    parameters: all weights of a kernel that lead to its output unit $j$.

    Args:
        key: The random key.
        params: The parameters, a pytree of real floating-point arrays.
        directions: The number of directions, at least 1.
        normalization: The parts whose norms are taken from the parameters: `"filter"`, `"layer"` (each array
            as a whole), or `"none"` for standard normal directions.
        axis: The axis of the output units in arrays of two or more axes: the last one for Flax, 0 for
            Equinox and PyTorch.
        biases: Whether arrays of fewer than two axes, such as biases, are moved as well, each scaled as a
            whole; otherwise their directions are zero.

    Returns:
        The directions, like the parameters with a leading axis. A filter of zeros is not moved.

    Raises:
        TypeError: If the parameters are not real floating-point arrays, or an argument is of another type.
        ValueError: If `directions` or `normalization` is not allowed, or an array lacks the axis.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import surface
        >>> params = {"kernel": jnp.array([[3.0, 0.0], [4.0, 2.0]]), "bias": jnp.ones(2)}
        >>> directions = surface.random_directions(jax.random.key(0), params)
        >>> jnp.linalg.norm(directions["kernel"], axis=1).round(3)
        Array([[5., 2.],
               [5., 2.]], dtype=float32)

    References:
        Hao Li, Zheng Xu, Gavin Taylor, Christoph Studer and Tom Goldstein, Visualizing the loss landscape of
        neural nets, 2018.
    """
    checks.random_key("key", key)
    directions = checks.count("directions", directions)
    checks.one_of("normalization", normalization, ("filter", "layer", "none"))
    biases = checks.flag("biases", biases)
    params = real_leaves("params", params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if leaf.ndim > 1 and not -leaf.ndim <= axis < leaf.ndim:
            name = jax.tree_util.keystr(path)
            raise ValueError(
                f"axis is {axis}: take an axis of params{name}, which has the shape {leaf.shape}"
            )
    return _drawn(key, params, directions, normalization, axis, biases)


@partial(jax.jit, static_argnames=("directions", "normalization", "axis", "biases"))
def _drawn(key: Any, params: PyTree, directions: int, normalization: str, axis: int, biases: bool) -> PyTree:
    leaves, structure = jax.tree.flatten(params)
    moved = [leaf.ndim > 1 or biases for leaf in leaves]
    # One draw for all arrays: a generator for each would be most of the time to compile.
    ends = np.cumsum([leaf.size * one for leaf, one in zip(leaves, moved)])
    wide = jnp.promote_types(jnp.result_type(*leaves), jnp.float32)
    drawn = jnp.split(jax.random.normal(key, (directions, int(ends[-1])), wide), ends[:-1], axis=1)

    def one(leaf: Array, direction: Array, is_moved: bool) -> Array:
        shape = (directions, *leaf.shape)
        if not is_moved:
            return jnp.zeros(shape, leaf.dtype)
        direction = direction.reshape(shape)
        if normalization != "none":
            by_filter = normalization == "filter" and leaf.ndim > 1
            # Negative axes are the same with and without the leading axis.
            within = tuple(
                k for k in range(-leaf.ndim, 0) if not by_filter or k % leaf.ndim != axis % leaf.ndim
            )
            length = jnp.linalg.vector_norm(direction, axis=within, keepdims=True)
            norm = _safe_norm(leaf.astype(wide), within)
            direction = direction * norm / jnp.where(length > 0, length, 1)
        return direction.astype(leaf.dtype)

    return structure.unflatten([one(*both) for both in zip(leaves, drawn, moved)])


def _safe_norm(weights: Array, within: tuple[int, ...]) -> Array:
    """The norm along axes, whose derivative at zero is zero."""
    return root(jnp.sum(weights * weights, axis=within, keepdims=True))


def trajectory_plane(trajectory: PyTree, *, directions: int = 2) -> TrajectoryPlane:
    r"""Return the principal directions of a trajectory of parameters, seen from its last point.

    They are the eigenvectors of the covariance of the points $\theta_0, \dots, \theta_n$, found from the
    inner products of the points with one another.

    Args:
        trajectory: The parameters at each step, stacked on a leading axis of every leaf.
        directions: The number of directions, at least 1 and below the number of points.

    Returns:
        The plane; the sign of a direction is such that the first point has a coordinate of 0 or more. A
        direction along which nothing varies is zero.

    Raises:
        TypeError: If the trajectory is not made of real floating-point arrays.
        ValueError: If the leaves have no leading axis in common, or there are too few points.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import surface
        >>> steps = jnp.array([[4.0, 0.0], [2.0, 1.0], [1.0, 0.5], [0.0, 0.0]])
        >>> surface.trajectory_plane({"w": steps}).explained
        Array([0.92..., 0.07...], dtype=float32)

    References:
        Hao Li, Zheng Xu, Gavin Taylor, Christoph Studer and Tom Goldstein, Visualizing the loss landscape of
        neural nets, 2018.
    """
    trajectory = real_leaves("trajectory", trajectory)
    points = leading_length("trajectory", trajectory, least=2)
    directions = checks.count("directions", directions, most=points - 1)
    return _principal(trajectory, directions)


@partial(jax.jit, static_argnames="directions")
def _principal(trajectory: PyTree, directions: int) -> TrajectoryPlane:
    last = jax.tree.map(lambda leaf: leaf[-1], trajectory)
    # Differences from the last point first: the steps of a trajectory are small beside the parameters.
    moves = jax.tree.map(lambda leaf, end: leaf - end, trajectory, last)
    centered = jax.tree.map(lambda leaf: leaf - jnp.mean(leaf, axis=0), moves)
    variances, vectors = jnp.linalg.eigh(gram(centered))
    total = jnp.sum(jnp.maximum(variances, 0))
    variances, vectors = variances[::-1][:directions], vectors[:, ::-1][:, :directions]
    # What is left by rounding of a variance of zero gives no direction.
    real = variances > 10 * len(vectors) * jnp.finfo(variances.dtype).eps * total
    weights = jnp.where(real, vectors / jnp.sqrt(jnp.where(real, variances, 1)), 0)

    def combined(leaf: Array) -> Array:
        return jnp.tensordot(weights.T.astype(leaf.dtype), leaf, axes=1, precision="highest")

    def projected(directions: PyTree) -> Array:
        return jax.vmap(lambda move: jax.vmap(lambda one: inner(move, one))(directions))(moves)

    found = jax.tree.map(combined, centered)
    signs = jnp.where(projected(found)[0] < 0, -1, 1)
    found = jax.tree.map(lambda leaf: (leaf.T * signs.astype(leaf.dtype)).T, found)
    explained = jnp.where(real, variances, 0) / jnp.where(total > 0, total, 1)
    return TrajectoryPlane(last, found, projected(found), explained)


def plane_through(first: PyTree, second: PyTree, third: PyTree) -> Plane:
    r"""Return the plane through three points, with the first as its origin.

    The first direction is that of $u = \theta_2 - \theta_1$, the second that of $\theta_3 - \theta_1$ after
    its part along $u$ is taken away.

    Args:
        first: The parameters at the origin.
        second: The parameters on the first axis.
        third: The parameters in the upper half of the plane.

    Returns:
        The plane, with the coordinates of the three points. Where the points are on one line, the second
        direction is zero.

    Raises:
        TypeError: If the points are not made of real floating-point arrays.
        ValueError: If the three are not of one structure with the same shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import surface
        >>> corners = jnp.array([[0.0, 0.0, 1.0], [3.0, 0.0, 1.0], [1.0, 2.0, 1.0]])
        >>> surface.plane_through(*corners).coordinates
        Array([[0., 0.],
               [3., 0.],
               [1., 2.]], dtype=float32)

    References:
        Timur Garipov, Pavel Izmailov, Dmitrii Podoprikhin, Dmitry Vetrov and Andrew Gordon Wilson, Loss
        surfaces, mode connectivity, and fast ensembling of DNNs, 2018.
    """
    first = real_leaves("first", first)
    second, third = same_form("second", second, first), same_form("third", third, first)
    u, v = (jax.tree.map(jnp.subtract, other, first) for other in (second, third))
    u_length = jnp.sqrt(inner(u, u))
    u = _divided(u, u_length)
    along = inner(u, v)
    v = jax.tree.map(lambda one, other: one - along.astype(one.dtype) * other, v, u)
    v_length = jnp.sqrt(inner(v, v))
    is_real = v_length > 10 * jnp.finfo(v_length.dtype).eps * jnp.abs(along)
    v = _divided(v, jnp.where(is_real, v_length, 0))
    zero = jnp.zeros_like(along)
    corners = [[zero, zero], [u_length, zero], [along, jnp.where(is_real, v_length, 0)]]
    return Plane(first, jax.tree.map(lambda *pair: jnp.stack(pair), u, v), jnp.array(corners))


def _divided(tree: PyTree, length: Array) -> PyTree:
    """A pytree over its length; zeros where the length is zero."""
    scale = jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 0)
    return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), tree)
