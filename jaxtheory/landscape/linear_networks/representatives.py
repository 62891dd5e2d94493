r"""Points of the families of critical points of deep linear networks, and ways down from the saddles."""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import Booleans, RandomKey, RealScalar
from jaxtheory.landscape.linear_networks.model import Weights, as_weights, check_widths, product
from jaxtheory.landscape.linear_networks.theory import Moments, subset_map


def representative(
    moments: Moments, widths: Sequence[int], subset: Booleans, *, middle_rank: int | None = None
) -> tuple[Array, ...]:
    r"""Construct a critical point whose map keeps the given eigenvectors: $W_L \cdots W_1 = U_S U_S^T R$.

    The singular values of the map are shared equally by all layers, so that the point is balanced,
    $W_{l+1}^T W_{l+1} = W_l W_l^T$; its matrices between the first and the last have the rank of the map.
    They can be given a higher rank by units that neither the first nor the last layer uses, which leave the
    point critical; it is then balanced no more.

    Args:
        moments: The moments of the data.
        widths: The numbers of inputs, of the units of each hidden layer, and of outputs.
        subset: The mask of the eigenvectors to keep, at most as many as the narrowest hidden layer has units.
        middle_rank: The rank of the product of the matrices between the first and the last, from the size of
            the subset to the narrowest hidden width; by default the size of the subset. With two matrices
            there are none between them.

    Returns:
        The matrices, the first layer's first.

    Raises:
        ValueError: If shapes do not match, the subset (where it is known) is too large, or the rank is out of
            range.
        TypeError: If a number is not whole.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> data = linear_networks.moments(jnp.eye(2), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
        >>> saddle = linear_networks.representative(data, (2, 3, 2), jnp.array([False, True]))
        >>> jnp.abs(linear_networks.end_to_end(saddle)).round(3).tolist()
        [[2.0, 0.0], [0.0, 0.0]]

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
        Arora, Cohen and Hazan, On the optimization of deep networks, 2018.
    """
    widths = check_widths(widths)
    checks.axes(
        "moments.least_squares", moments.least_squares, "outputs", "inputs", sizes=(widths[-1], widths[0])
    )
    narrowest = min(widths[1:-1])
    size = jnp.sum(jnp.asarray(subset, bool))
    if checks.known(size) and int(size) > narrowest:
        raise ValueError(
            f"subset holds {int(size)} eigenvectors: take at most {narrowest}, the narrowest width"
        )
    if middle_rank is not None:
        least = int(size) if checks.known(size) else 0
        middle_rank = checks.count("middle_rank", middle_rank, least=least, most=narrowest)
    mask = jnp.asarray(subset, bool)
    checks.axes("subset", mask, "outputs", sizes=(widths[-1],))
    return _constructed(moments, mask, widths, middle_rank or 0)


@partial(jax.jit, static_argnames=("widths", "middle_rank"))
def _constructed(
    moments: Moments, mask: Array, widths: tuple[int, ...], middle_rank: int
) -> tuple[Array, ...]:
    left, values, right = jnp.linalg.svd(subset_map(moments, mask), full_matrices=False)
    narrowest, layers, size = min(widths[1:-1]), len(widths) - 1, jnp.sum(mask)
    shares = jnp.where(jnp.arange(len(values)) < size, values, 0) ** (1 / layers)
    # Units beyond the map's rank: one where they raise the rank of the middle, zero where they are idle.
    places = jnp.arange(narrowest)
    shares = jnp.pad(shares, (0, max(0, narrowest - len(shares))))[:narrowest]
    raised = jnp.where((places >= size) & (places < middle_rank), 1, shares)
    pad = max(0, narrowest - left.shape[1])
    left, right = jnp.pad(left, ((0, 0), (0, pad))), jnp.pad(right, ((0, pad), (0, 0)))
    first = _placed(shares[:, None] * right[:narrowest], widths[1], widths[0])
    last = _placed(left[:, :narrowest] * shares, widths[-1], widths[-2])
    between = [_placed(jnp.diag(raised), *pair) for pair in zip(widths[2:-1], widths[1:-2])]
    return (first, *between, last)


def unbalanced(key: RandomKey, params: Weights, *, spread: RealScalar = 1.0) -> tuple[Array, ...]:
    r"""Recombine the units of each hidden layer at random: another point with the same map.

    $W_l$ becomes $G_l W_l G_{l-1}^{-1}$ with invertible $G_l = A_l \exp(s D_l) B_l$, orthogonal $A_l$ and
    $B_l$, and diagonal $D_l$ of normal numbers. It is critical if the given point is, with as many negative
    eigenvalues.

    Args:
        key: The random key.
        params: The matrices, the first layer's first.
        spread: The standard deviation s of the logarithms of the singular values of $G_l$, 0 or more; with 0
            units are rotated.

    Returns:
        The matrices, the first layer's first.

    Raises:
        ValueError: If there is no matrix, shapes do not match, or the spread is negative.
        TypeError: If a matrix is not real, or the key is none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> other = linear_networks.unbalanced(jax.random.key(0), [jnp.eye(2), jnp.eye(2)])
        >>> linear_networks.end_to_end(other).round(3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    checks.random_key("key", key)
    checks.nonnegative("spread", spread)
    weights, back = as_weights(params)
    for place, one in enumerate(jax.random.split(key, len(weights))[:-1]):
        size, dtype = weights[place].shape[0], weights[place].dtype
        a, b, c = jax.random.split(one, 3)
        left, right = (jax.random.orthogonal(k, size, dtype=dtype) for k in (a, b))
        stretch = jnp.exp(spread * jax.random.normal(c, (size,), dtype))
        weights[place] = matmul(left * stretch, matmul(right, weights[place]))
        weights[place + 1] = matmul(matmul(weights[place + 1], right.T) / stretch, left.T)
    return back(tuple(weights))


def lower_point(
    moments: Moments, params: Weights, radius: RealScalar, *, tolerance: RealScalar | None = None
) -> tuple[Array, ...]:
    r"""Move down from a saddle with idle units, where no eigenvalue of the Hessian need be negative.

    A chain of matrices of rank one through units that neither the layer before them nor the one after them
    uses adds $\tau u v^T$ to the map, with $u$ and $v$ the directions along which the loss falls most; $\tau$
    is a power of the distance as high as there are layers, so that no derivative of lower order sees it.

    Args:
        moments: The moments of the data.
        params: The matrices at the saddle, the first layer's first.
        radius: The distance to move, positive.
        tolerance: The largest singular value that counts as zero, 0 or more; by default $\sqrt\epsilon$ for
            the rounding unit $\epsilon$ of the dtype.

    Returns:
        The matrices at the lower point; the same ones where some hidden layer has no idle unit.

    Raises:
        ValueError: If shapes do not match, or a number is out of range.
        TypeError: If a matrix is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> data = linear_networks.moments(jnp.eye(2), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
        >>> origin = [jnp.zeros((2, 2))] * 3
        >>> lower = linear_networks.lower_point(data, origin, 1.0)
        >>> bool(linear_networks.moment_loss(lower, data) < linear_networks.moment_loss(origin, data))
        True

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    checks.positive("radius", radius)
    weights, back = as_weights(params)
    if tolerance is None:
        tolerance = jnp.sqrt(jnp.finfo(weights[0].dtype).eps)
    else:
        checks.nonnegative("tolerance", tolerance)
    return back(_lowered(moments, weights, radius, tolerance))


@jax.jit
def _lowered(moments: Moments, weights: list[Array], radius: Any, tolerance: Any) -> tuple[Array, ...]:
    missing = matmul(moments.least_squares - product(weights), matmul(moments.root, moments.root))
    left, _, right = jnp.linalg.svd(missing, full_matrices=False)
    enter, leave, idle = [right[0]], [], []
    for before, after in itertools.pairwise(weights):
        unused, unfed = _kernel(after, tolerance), _kernel(before.T, tolerance)
        a, overlaps, b = jnp.linalg.svd(matmul(unfed, unused))
        idle.append(overlaps[0])
        # A vector that the layer after does not use, and a functional that the layer before does not feed.
        leave.append(b[0] / jnp.maximum(overlaps[0], 0.5))
        enter.append(a[:, 0])
    leave.append(left[:, 0])
    chain = [jnp.outer(out, into) for out, into in zip(leave, enter)]
    length = jnp.sqrt(sum(jnp.sum(one**2) for one in chain))
    step = jnp.where(jnp.min(jnp.stack(idle)) > 0.5, radius / length, 0)
    return tuple(w + step * one for w, one in zip(weights, chain))


def _placed(block: Array, rows: int, columns: int) -> Array:
    """A block in the upper left corner of zeros."""
    return jnp.zeros((rows, columns), block.dtype).at[: block.shape[0], : block.shape[1]].set(block)


def _kernel(matrix: Array, tolerance: RealScalar | Array) -> Array:
    """The projection on the kernel of a matrix."""
    _, values, right = jnp.linalg.svd(matrix, full_matrices=True)
    rows = right.shape[0]
    zero = jnp.pad(values, (0, rows - len(values))) <= tolerance
    return matmul(right.T * zero, right)
