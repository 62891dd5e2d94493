"""The triangular factor of a matrix that grows by rows, and the systems that it solves on the way."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array

from jaxtheory.core.linalg import matmul

PANEL = 128
"""Rows of the triangular factor that are updated at once, by an orthogonal matrix of twice the size."""

GROUPS = 4
"""Groups of panels, each of which leaves out the columns that its rows are zero in."""


def interpolants(features: Array, columns: Array, sizes: tuple[int, ...], *, after: Array | float) -> Array:
    """Return the solutions of A_N A_N^T z = y, where A_N holds the first N features, for several N above n.

    Args:
        features: The features A of n examples.
        columns: The values y, one output a column.
        sizes: The numbers N, rising.
        after: A number that has to be computed before: on processors (jaxlib 0.10) two batched
            factorizations at a time, as under `vmap`, can wait for each other's threads forever.

    Returns:
        The solutions, `(sizes, n, outputs)`.
    """
    n = features.shape[0]
    height = min(PANEL, n)
    panels = GROUPS * -(-n // (GROUPS * height)) if n > height else 1
    padding = panels * height - n
    factor = jnp.linalg.qr(features[:, : sizes[0]].T + 0 * jnp.nan_to_num(after), mode="r")
    # The spare rows are those of the identity, which leave all others alone.
    factor = jnp.pad(factor, (0, padding)) + jnp.diag(jnp.pad(jnp.zeros(n), (0, padding), constant_values=1))
    factor = factor.astype(features.dtype)
    starts, counts, ends, block = _chunks(sizes)
    padded = jnp.pad(columns, ((0, padding), (0, 0)))

    def solved(factor: Array) -> Array:
        return solve_triangular(factor, solve_triangular(factor, padded, trans="T"))[:n]

    def advance(factor: Array, chunk: tuple[Array, Array]) -> tuple[Array, Array]:
        start, count = chunk
        rows = lax.dynamic_slice(features, (0, start), (n, block)).T
        # Where the last features do not fill a block, it begins earlier, at features that are in already.
        place = jnp.minimum(start, features.shape[1] - block) + jnp.arange(block)
        fresh = (place >= start) & (place < start + count)
        rows = jnp.pad(jnp.where(fresh[:, None], rows, 0), ((0, 0), (0, padding)))
        factor = _with_rows(factor, rows, height)
        return factor, solved(factor)

    first = solved(factor)[None]
    if len(sizes) == 1:
        return first
    found = lax.scan(advance, factor, (jnp.asarray(starts), jnp.asarray(counts)))[1]
    return jnp.concatenate([first, found[np.asarray(ends)]])


def _chunks(sizes: tuple[int, ...]) -> tuple[list[int], list[int], list[int], int]:
    """Where blocks of new features start, how many there are in each, which end a size, and their height."""
    gaps = [(one, other - one) for one, other in pairwise(sizes)]
    pieces = [-(-gap // PANEL) for _, gap in gaps]
    block = max((-(-gap // parts) for (_, gap), parts in zip(gaps, pieces)), default=1)
    starts, counts, ends = [], [], []
    for (start, gap), parts in zip(gaps, pieces):
        edges = [start + gap * part // parts for part in range(parts + 1)]
        starts += edges[:-1]
        counts += [after - before for before, after in pairwise(edges)]
        ends.append(len(starts) - 1)
    return starts, counts, ends, block


def _with_rows(factor: Array, rows: Array, height: int) -> Array:
    """The triangular factor of a matrix with further rows, by panels of orthogonal transformations."""
    size = factor.shape[0]
    groups = GROUPS if size > height else 1
    span = size // groups
    for group in range(groups):
        left = group * span
        inner = factor[left : left + span, left:].reshape(span // height, height, size - left)

        def step(rows: Array, panel: tuple[Array, Array]) -> tuple[Array, Array]:
            number, above = panel
            both = jnp.concatenate([above, rows])
            pivots = lax.dynamic_slice(both, (0, number * height), (len(both), height))
            turned = matmul(jnp.linalg.qr(pivots, mode="complete")[0].T, both)
            return turned[height:], turned[:height]

        rows, inner = lax.scan(step, rows, (jnp.arange(span // height), inner))
        factor = factor.at[left : left + span, left:].set(inner.reshape(span, size - left))
        rows = rows[:, span:]
    return factor
