r"""Paths between parameters: Bézier curves and polygonal chains with trained bends, and barriers along them.

A path is made of control points $c_0, \dots, c_n$, of which the first and the last are its ends and the
others its bends. Its point at the position $t$ from 0 to 1 is $\sum_k w_k(t) c_k$, with Bernstein's
polynomials $w_k(t) = \binom{n}{k} t^k (1 - t)^{n - k}$ for a Bézier curve, and
$w_k(t) = \max(0, 1 - |n t - k|)$ for a polygonal chain.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record, static
from jaxtheory.core.trees import check_numbers, leading_length, real_leaves, same_form
from jaxtheory.core.types import AnyArray, Reals

Kind = Literal["bezier", "chain"]
"""A Bézier curve or a polygonal chain."""
KINDS = ("bezier", "chain")


@record
class Path:
    """A path in the space of parameters."""

    controls: PyTree
    """The control points, stacked on a leading axis of every leaf."""
    kind: str = static()
    """The kind of path, `"bezier"` or `"chain"`."""

    @property
    def ends(self) -> PyTree:
        """The first and the last control point, stacked on a leading axis."""
        return jax.tree.map(lambda leaf: jnp.stack([leaf[0], leaf[-1]]), self.controls)

    @property
    def bends(self) -> PyTree:
        """The control points between the ends, stacked on a leading axis."""
        return jax.tree.map(lambda leaf: leaf[1:-1], self.controls)


def straight_path(start: PyTree, end: PyTree, *, bends: int = 0, kind: Kind = "chain") -> Path:
    """Return the straight line between two networks, with bends at equal distances to begin training from.

    Args:
        start: The parameters at position 0, a pytree of real floating-point arrays.
        end: The parameters at position 1, of the same structure and shapes.
        bends: The number of bends, at least 0.
        kind: The kind of path, `"bezier"` or `"chain"`.

    Returns:
        The path.

    Raises:
        TypeError: If the ends are not made of real floating-point arrays.
        ValueError: If the ends are not of one form, or `bends` or `kind` is not allowed.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> connectivity.straight_path(jnp.zeros(1), jnp.ones(1), bends=1).bends
        Array([[0.5]], dtype=float32)

    References:
        Timur Garipov, Pavel Izmailov, Dmitrii Podoprikhin, Dmitry Vetrov and Andrew Gordon Wilson, Loss
        surfaces, mode connectivity, and fast ensembling of DNNs, 2018.
    """
    start = real_leaves("start", start)
    end = same_form("end", end, start)
    bends = checks.count("bends", bends, least=0)
    checks.one_of("kind", kind, KINDS)

    def between(first: Array, last: Array) -> Array:
        t = jnp.linspace(0, 1, bends + 2, dtype=first.dtype).reshape(-1, *(1,) * first.ndim)
        return (1 - t) * first + t * last

    return Path(jax.tree.map(between, start, end), kind)


def path_between(ends: PyTree, bends: PyTree, *, kind: Kind = "bezier") -> Path:
    """Return the path with given ends and bends, as training leaves them.

    Args:
        ends: The two ends, stacked on a leading axis of every leaf.
        bends: The bends, stacked on a leading axis of every leaf.
        kind: The kind of path, `"bezier"` or `"chain"`.

    Returns:
        The path.

    Raises:
        TypeError: If ends or bends are not made of real floating-point arrays.
        ValueError: If there are not two ends, the bends are of another form, or `kind` is not allowed.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> path = connectivity.path_between(jnp.array([[0.0], [1.0]]), jnp.array([[3.0]]))
        >>> connectivity.point_at(path, 0.5)
        Array([1.75], dtype=float32)
    """
    checks.one_of("kind", kind, KINDS)
    ends, bends = real_leaves("ends", ends), real_leaves("bends", bends)
    if leading_length("ends", ends, least=2) != 2:
        raise ValueError("ends has more than two points on its leading axis: take the first and the last")
    inner = leading_length("bends", bends, least=0)
    bends = same_form("bends", bends, jax.tree.map(lambda leaf: leaf[0], ends), leading=inner)
    joined = jax.tree.map(lambda two, some: jnp.concatenate([two[:1], some, two[1:]]), ends, bends)
    return Path(joined, kind)


def point_at(path: Path, position: Reals) -> PyTree:
    r"""Return the parameters at a position of a path, $\sum_k w_k(t) c_k$.

    Args:
        path: The path.
        position: The position $t$, from 0 to 1, or an array of positions.

    Returns:
        The parameters, with the axes of the positions in front of every leaf.

    Raises:
        TypeError: If a position is not a real number, or the path is not made of real floating-point arrays.
        ValueError: If the path has fewer than two control points.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> path = connectivity.straight_path(jnp.zeros(2), jnp.array([2.0, 4.0]))
        >>> connectivity.point_at(path, jnp.array([0.0, 0.25, 1.0]))
        Array([[0. , 0. ],
               [0.5, 1. ],
               [2. , 4. ]], dtype=float32)

    References:
        Timur Garipov, Pavel Izmailov, Dmitrii Podoprikhin, Dmitry Vetrov and Andrew Gordon Wilson, Loss
        surfaces, mode connectivity, and fast ensembling of DNNs, 2018.
    """
    (position,), _ = real_arrays(position=position)
    controls = real_leaves("path", path.controls)
    weights = _weights(position, leading_length("path", controls, least=2), path.kind)

    def combined(leaf: Array) -> Array:
        wide = jnp.promote_types(leaf.dtype, jnp.float32)
        found = jnp.tensordot(weights.astype(wide), leaf.astype(wide), axes=1, precision="highest")
        return found.astype(leaf.dtype)

    return jax.tree.map(combined, controls)


def _weights(position: Array, controls: int, kind: str) -> Array:
    """The weights of the control points at positions, on a last axis."""
    t, last = position[..., None], controls - 1
    k = jnp.arange(controls)
    if kind == "chain":
        return jnp.maximum(0, 1 - jnp.abs(last * t - k))
    binomials = jnp.array([math.comb(last, one) for one in range(controls)], t.dtype)
    # Integer exponents, so that 0 to the power 0 is 1 and has a derivative.
    powers = [jnp.ones_like(position)]
    others = [jnp.ones_like(position)]
    for _ in range(last):
        powers.append(powers[-1] * position)
        others.append(others[-1] * (1 - position))
    return binomials * jnp.stack(powers, -1) * jnp.stack(others[::-1], -1)


def path_values(
    function: Callable[[Any, Any], Any],
    path: Path,
    positions: Real[AnyArray, " points"],
    batch: Any,
    *,
    chunk: int = 1,
) -> PyTree:
    """Evaluate a function of the parameters at positions of a path, in one compiled map.

    Args:
        function: The function `function(params, batch)`, such as a loss; keep it for the next call, which is
            compiled for it.
        path: The path.
        positions: The positions, from 0 to 1.
        batch: The data, a pytree of arrays, which the function is given as they are.
        chunk: The number of positions that are evaluated at once, at least 1.

    Returns:
        The values, with a leading axis of the positions.

    Raises:
        TypeError: If positions or data are not numbers.
        ValueError: If the positions are not a vector.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> path = connectivity.straight_path(-jnp.ones(1), jnp.ones(1))
        >>> def double_well(params, batch):
        ...     return jnp.sum((params**2 - 1) ** 2) + batch
        >>> connectivity.path_values(double_well, path, jnp.array([0.0, 0.5, 1.0]), 0.0)
        Array([0., 1., 0.], dtype=float32)
    """
    positions = as_array("positions", positions)
    checks.axes("positions", positions, "points")
    chunk = checks.count("chunk", chunk)
    check_numbers("batch", batch)
    return _path_values(function, path, jnp.asarray(positions), batch, chunk=chunk)


@partial(jax.jit, static_argnames=("function", "chunk"))
def _path_values(function: Any, path: Path, positions: Array, batch: Any, *, chunk: int) -> PyTree:
    return jax.lax.map(
        lambda position: function(point_at(path, position), batch),
        positions,
        batch_size=chunk if chunk > 1 else None,
    )


def barrier(
    values: Real[AnyArray, "... points"], positions: Real[AnyArray, " points"] | None = None
) -> Float[Array, "..."]:
    r"""Return the height of the barrier along a path, $\max_t f(t) - (1 - t) f(0) - t f(1)$.

    Args:
        values: The values $f$ at the positions, both ends included, so that the barrier is never negative.
        positions: The positions $t$, rising from 0 to 1; by default they are equally spaced.

    Returns:
        The largest value above the linear interpolation of the ends.

    Raises:
        TypeError: If the values are not real numbers.
        ValueError: If there are fewer than two points, or not one position for each.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> connectivity.barrier(jnp.array([1.0, 5.0, 2.0]))
        Array(3.5, dtype=float32)

    References:
        Jonathan Frankle, Gintare Karolina Dziugaite, Daniel Roy and Michael Carbin, Linear mode connectivity
        and the lottery ticket hypothesis, 2020.
    """
    (values, positions), back = real_arrays(optional=("positions",), values=values, positions=positions)
    checks.axes("values", values, "...", "points")
    points = values.shape[-1]
    if points < 2:
        raise ValueError(f"values has the shape {values.shape}: take at least two points, the ends")
    if positions is None:
        positions = jnp.linspace(0, 1, points, dtype=values.dtype)
    checks.axes("positions", positions, "points", sizes=(points,))
    chord = (1 - positions) * values[..., :1] + positions * values[..., -1:]
    return back(jnp.max(values - chord, axis=-1))


def path_objective(loss: Callable[[Any, Any], Any], *, kind: Kind = "bezier") -> Callable[..., Any]:
    r"""Return the objective of training a path's bends: a loss at a random position, $\ell(\phi(t))$.

    With $t$ uniform from 0 to 1, its mean is the mean loss along the path. It is an objective of
    `jaxtheory.networks.training`, whose parameters are the bends and whose state, which stays as it is, are
    the ends: `training.init(path.bends, key, optimizer=..., state=path.ends)`.

    Args:
        loss: The function `loss(params, batch) -> scalar`.
        kind: The kind of path, `"bezier"` or `"chain"`.

    Returns:
        The function `objective(bends, ends, batch, key) -> (loss, (ends, {}))`.

    Raises:
        ValueError: If the kind is not allowed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> objective = connectivity.path_objective(lambda params, batch: jnp.sum(params) + batch)
        >>> ends = jnp.array([[1.0], [1.0]])
        >>> objective(jnp.array([[1.0]]), ends, 0.5, jax.random.key(0))[0]
        Array(1.5, dtype=float32)

    References:
        Timur Garipov, Pavel Izmailov, Dmitrii Podoprikhin, Dmitry Vetrov and Andrew Gordon Wilson, Loss
        surfaces, mode connectivity, and fast ensembling of DNNs, 2018.
    """
    checks.one_of("kind", kind, KINDS)

    def objective(bends: PyTree, ends: PyTree, batch: Any, key: Any) -> tuple[Any, tuple[PyTree, dict]]:
        path = path_between(ends, bends, kind=kind)
        return loss(point_at(path, jax.random.uniform(key)), batch), (ends, {})

    return objective
