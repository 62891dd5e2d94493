r"""LISTA with coupled weights and support selection (LISTA-CP and LISTA-CPSS).

Networks of LISTA's kind can converge to the true codes only if their weights are coupled in the end as
$S = 1 - D W^T$ and the thresholds vanish. So a layer here has one matrix $W$ and a threshold of its own,
$z \leftarrow \mathrm{soft}_{\theta_k}(z + (x - z D) W_k^T)$, and may trust its largest entries: those are
kept as they are, without the bias of shrinkage.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse.unrolled import lista_cp
    >>> params = lista_cp.init(jax.random.key(0), jnp.eye(3), steps=2, penalty=1.0, selection=(0.34, 0.34))
    >>> lista_cp.apply(params, jnp.array([3.0, -0.25, -2.0]))
    Array([ 3.,  0., -1.], dtype=float32)
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxtheory.core.types import Reals as Amount
from jaxtheory.sparse.proximal import Values, soft_threshold
from jaxtheory.sparse.pytrees import _registered
from jaxtheory.sparse.unrolled.layers import (
    AnyKey,
    Dictionary,
    Number,
    Signals,
    _atoms,
    _check_features,
    _check_positive,
    _check_steps,
    _curvature,
    _unroll,
)


@_registered
@dataclass(frozen=True)
class Parameters:
    """The dictionary, and weights and thresholds of the layers."""

    dictionary: Any
    """(atoms, features), the one that the signals are made of: hold it where it is known."""
    weight: Any
    """(atoms, features), or (steps, atoms, features) where each layer has its own."""
    threshold: Any
    """(steps,), each layer its own."""
    selected: tuple[int, ...] = field(metadata={"static": True})
    """How many of its largest entries each layer trusts."""

    @property
    def tied(self) -> bool:
        """Whether all layers share their weight."""
        return jnp.ndim(self.weight) == 2


def selective_threshold(x: Values, threshold: Amount, *, selected: int) -> Float[Array, "..."]:
    r"""Soft thresholding that leaves the largest entries of the last axis as they are.

    An entry above the threshold that is among the `selected` largest in magnitude stays $x_i$; others become
    $\mathrm{sign}(x_i) \max(|x_i| - t, 0)$. Of entries of equal magnitude, all are taken or none.

    Args:
        x: Shape `(..., n)`.
        threshold: $t \ge 0$, broadcast with `x`.
        selected: How many are trusted, from 0 to n.

    Returns:
        Shape `(..., n)`.

    Raises:
        ValueError: If more are selected than there are, or fewer than none.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import lista_cp
        >>> lista_cp.selective_threshold(jnp.array([3.0, 0.5, -2.0]), 1.0, selected=1)
        Array([ 3.,  0., -1.], dtype=float32)

    References:
        Chen, Liu, Wang and Yin, Theoretical linear convergence of unfolded ISTA and its practical weights and
        thresholds, 2018.
    """
    size = jnp.shape(x)[-1]
    if not 0 <= selected <= size:
        raise ValueError(f"selected is {selected}: of {size} entries, 0 to {size} can be trusted")
    return _selective(jnp.asarray(x), threshold, selected, selected)


def _selective(x: Array, threshold: Any, selected: Any, most: int) -> Array:
    """`selective_threshold` where the count may be traced, up to a static one."""
    shrunken = soft_threshold(x, threshold)
    if most == 0:
        return shrunken
    sizes = jnp.abs(lax.stop_gradient(x))
    largest = lax.top_k(sizes, most)[0]
    least = lax.dynamic_index_in_dim(largest, jnp.maximum(selected - 1, 0), axis=-1)
    trusted = (sizes >= least) & (sizes > threshold) & (selected > 0)
    return jnp.where(trusted, x, shrunken)


def _selected(selection: tuple[float, float], steps: int, atoms: int) -> tuple[int, ...]:
    """How many entries each layer trusts: a share that grows from layer to layer up to a largest one."""
    growth, most = selection
    if not 0 <= growth <= most <= 1:
        raise ValueError(
            f"selection is {selection}: give the share of the entries by which it grows a layer, and the "
            "largest share, as (0.012, 0.12)"
        )
    # Decimal shares of whole numbers are rarely whole in binary.
    return tuple(int(np.floor(min(growth * k, most) * atoms + 1e-9)) for k in range(1, steps + 1))


def init(
    key: AnyKey,
    dictionary: Dictionary,
    *,
    steps: int,
    penalty: Number,
    tied: bool = False,
    selection: tuple[float, float] = (0.0, 0.0),
) -> Parameters:
    r"""The parameters with which the network is ISTA, but for the entries that it trusts.

    $W = D / L$ and $\theta = \lambda / L$, with the largest eigenvalue $L$ of the Gram matrix.

    Args:
        key: What a dictionary is drawn from, if none is given.
        dictionary: Shape `(atoms, features)`, one atom a row; or the tuple of these two numbers, for random
            directions.
        steps: The number of layers, at least 1.
        penalty: $\lambda > 0$.
        tied: Whether all layers share their weight; thresholds are each layer's own.
        selection: By which share of the entries the trusted ones grow from layer to layer, and their largest
            share: $k$ entries in layer $k$ of 100 for `(0.01, 1.0)`. The paper takes (0.012, 0.12) for a
            tenth of nonzeros.

    Returns:
        The parameters.

    Raises:
        ValueError: If the dictionary is no matrix, there is no step, the penalty (where it has a value) is
            not positive, or the selection is no pair of shares in order.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import lista_cp
        >>> params = lista_cp.init(jax.random.key(0), (50, 25), steps=4, penalty=0.1, selection=(0.02, 0.06))
        >>> params.weight.shape, params.selected
        ((4, 50, 25), (1, 2, 3, 3))

    References:
        Chen, Liu, Wang and Yin, Theoretical linear convergence of unfolded ISTA and its practical weights and
        thresholds, 2018.
    """
    _check_steps(steps)
    _check_positive("penalty", penalty)
    dictionary = _atoms(key, dictionary)
    selected = _selected(selection, steps, dictionary.shape[0])
    curvature = _curvature(dictionary)
    weight = dictionary / curvature
    if not tied:
        weight = jnp.broadcast_to(weight, (steps, *weight.shape))
    threshold = jnp.broadcast_to(penalty / curvature, (steps,)).astype(dictionary.dtype)
    return Parameters(dictionary, weight, threshold, selected)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def apply(
    params: Parameters, x: Signals, *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    r"""The codes after the last layer, $z \leftarrow \mathrm{soft}_{\theta_k}(z + (x - z D) W_k^T)$.

    Args:
        params: What `init` returned, or what became of it.
        x: Signals, shape `(..., features)`.
        iterates: Whether to return the codes after each layer.
        remat: Whether reverse mode keeps only the codes between layers and computes what is inside again.

    Returns:
        Shape `(..., atoms)`, or `(steps, ..., atoms)` for the iterates.

    Raises:
        ValueError: If the signals have not as many features as the atoms.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import lista_cp
        >>> params = lista_cp.init(jax.random.key(0), (8, 4), steps=3, penalty=0.1)
        >>> lista_cp.apply(params, jnp.ones((5, 4)), iterates=True).shape
        (3, 5, 8)

    References:
        Chen, Liu, Wang and Yin, Theoretical linear convergence of unfolded ISTA and its practical weights and
        thresholds, 2018.
    """
    x = jnp.asarray(x)
    dictionary = params.dictionary
    _check_features(dictionary.shape[1], x)
    dtype = jnp.result_type(x, dictionary, params.weight, params.threshold)
    start = jnp.zeros((*x.shape[:-1], dictionary.shape[0]), dtype)

    def step(codes, own):
        threshold, selected, weight = own
        weight = params.weight if params.tied else weight
        left = x - jnp.matmul(codes, dictionary, precision="highest")
        moved = codes + jnp.matmul(left, weight.T, precision="highest")
        return _selective(moved, threshold, selected, max(params.selected))

    layers = (params.threshold, jnp.asarray(params.selected), None if params.tied else params.weight)
    return _unroll(step, start, layers, len(params.selected), iterates=iterates, remat=remat)
