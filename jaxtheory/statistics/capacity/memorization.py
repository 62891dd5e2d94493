"""The explicit two-layer network that fits any points."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray

DIRECTIONS = 64
"""The number of directions among which the memorizer takes the one that keeps points farthest apart."""


@record
class Memorizer:
    r"""The network $\sum_j w_j \max(\langle a, x \rangle - b_j, 0)$ with one neuron for each point."""

    direction: Float[AnyArray, " features"]
    """The weights $a$ that all neurons have in common."""
    knots: Float[AnyArray, " n"]
    """The projections $b$ at which the neurons begin to respond, in rising order."""
    weights: Float[AnyArray, " n"]
    """The weights $w$ of the output."""


def memorizer(x: Real[AnyArray, "n features"], y: Real[AnyArray, " n"]) -> Memorizer:
    r"""Return the two-layer ReLU network with 2n + d distinct weights that fits any n points.

    All neurons project on one direction $a$, and the $j$-th in the order of projections begins at the
    projection of the point before: the network then interpolates linearly between neighbors, and its weights
    are differences of slopes. What is rounded grows with them, as $1 / \text{gap}$; knots halfway between
    projections would lose some hundred times more. Of a fixed set of random directions that is taken which
    keeps the nearest points farthest apart.

    Args:
        x: The points, distinct.
        y: The value at each point.

    Returns:
        The network, in the dtype of the points; float64 fits a thousand points to about 1e-8. Where values
        are traced, points that are not distinct give weights that are not finite.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If shapes do not match, or two points (where values are known) are equal, or so near that
            their projections are.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import capacity
        >>> x = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> xor = capacity.memorizer(x, jnp.array([0.0, 1.0, 1.0, 0.0]))
        >>> jnp.abs(capacity.apply(xor, x)).round(3).tolist()
        [0.0, 1.0, 1.0, 0.0]

    References:
        Chiyuan Zhang, Samy Bengio, Moritz Hardt, Benjamin Recht and Oriol Vinyals, "Understanding deep
        learning requires rethinking generalization", 2017.
    """
    (x, y), back = real_arrays(x=x, y=y)
    checks.axes("x", x, "n", "features")
    checks.axes("y", y, "n", sizes=x.shape[:1])
    if x.shape[0] == 0:
        raise ValueError(f"x has the shape {x.shape}: take at least one point")
    if checks.known(x):
        _check_distinct(np.asarray(x))
    found = _memorizer(x, y)
    if checks.known(x) and len(x) > 1 and not np.diff(np.asarray(found.knots)).all():
        first, second = _nearest(np.asarray(matmul(x, found.direction)))
        raise ValueError(
            f"x[{first}] and x[{second}] are so near that {x.dtype} does not tell their projections apart: "
            "take points in double precision, or farther apart"
        )
    return back(found)


@jax.jit
def _memorizer(x: Array, y: Array) -> Memorizer:
    n, features = x.shape
    candidates = jax.random.normal(jax.random.key(0), (DIRECTIONS, features), x.dtype)
    candidates = candidates / jnp.linalg.norm(candidates, axis=1, keepdims=True)
    projections = jnp.sort(matmul(candidates, x.T), axis=1)
    spread = projections[:, -1] - projections[:, 0]
    # The nearest two, relative to the whole: what counts is how steep the network must be.
    apart = jnp.min(jnp.diff(projections, axis=1), axis=1, initial=jnp.inf) / spread if n > 1 else spread
    direction = lax.stop_gradient(candidates[jnp.argmax(apart)])
    projected = matmul(x, direction)
    order = jnp.argsort(projected)
    places, values = projected[order], y[order]
    # Before the first point the network is zero, for as long as points are apart on average.
    room = (places[-1] - places[0]) / (n - 1) if n > 1 else jnp.ones((), x.dtype)
    knots = jnp.concatenate([places[:1] - room, places[:-1]])
    rises = jnp.concatenate([values[:1], jnp.diff(values)])
    slopes = rises / jnp.concatenate([room[None], jnp.diff(places)])
    return Memorizer(direction, knots, jnp.concatenate([slopes[:1], jnp.diff(slopes)]))


def apply(params: Memorizer, x: Real[AnyArray, "... features"]) -> Float[Array, "..."]:
    r"""Return the values of the memorizing network, $\sum_j w_j \max(\langle a, x \rangle - b_j, 0)$.

    Args:
        params: The network, from `memorizer`.
        x: The points at which it is evaluated.

    Returns:
        The value at each point.

    Raises:
        TypeError: If `params` is not a `Memorizer`, or the points are complex or not an array of numbers.
        ValueError: If the points have another number of features than the network.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import capacity
        >>> params = capacity.Memorizer(jnp.array([2.0]), jnp.array([0.0, 4.0]), jnp.array([1.0, -1.0]))
        >>> capacity.apply(params, jnp.array([[-1.0], [1.0], [5.0]])).tolist()
        [0.0, 2.0, 4.0]
    """
    checks.instance("params", params, Memorizer, "a Memorizer, as capacity.memorizer returns it")
    (x, direction, knots, weights), back = real_arrays(
        x=x, direction=params.direction, knots=params.knots, weights=params.weights
    )
    checks.axes("x", x, "...", "features", sizes=direction.shape)
    responses = jax.nn.relu(matmul(x, direction)[..., None] - knots)
    return back(matmul(responses, weights))


def _check_distinct(x: np.ndarray) -> None:
    """Refuses equal rows, and names the first pair."""
    _, first, inverse = np.unique(x, axis=0, return_index=True, return_inverse=True)
    origin = first[inverse.reshape(-1)]
    repeated = np.flatnonzero(origin != np.arange(len(x)))
    if repeated.size:
        pair = f"x[{origin[repeated[0]]}] and x[{repeated[0]}]"
        raise ValueError(f"{pair} are the same point: take points that are distinct")


def _nearest(projections: np.ndarray) -> tuple[int, int]:
    """The two points that lie nearest to each other on a line, the lower row first."""
    order = np.argsort(projections)
    place = int(np.argmin(np.diff(projections[order])))
    first, second = sorted(int(row) for row in order[place : place + 2])
    return first, second
