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

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey, Reals, RealScalar
from jaxtheory.sparse.unrolled.layers import (
    Dictionary,
    applied,
    as_dictionary,
    repeat,
    safe_norm,
    unroll,
)
from jaxtheory.sparse.unrolled.selection import select, trusted_counts


@record
class Parameters:
    """The dictionary, and weights and thresholds of the layers."""

    dictionary: Float[AnyArray, "atoms features"]
    """The dictionary that the signals are made of: hold it where it is known."""
    weight: Float[AnyArray, "*steps atoms features"]
    """The weight, with a first axis of the layers where each has its own."""
    threshold: Float[AnyArray, " steps"]
    """The threshold of each layer."""
    selected: tuple[int, ...] = static()
    """The number of its largest entries that each layer trusts."""

    @property
    def tied(self) -> bool:
        """Whether all layers share their weight."""
        return jnp.ndim(self.weight) == 2


def selective_threshold(
    x: Real[AnyArray, "... n"], threshold: Reals, *, selected: int
) -> Float[Array, "... n"]:
    r"""Threshold softly, but leave the largest entries of the last axis as they are.

    An entry above the threshold that is among the `selected` largest in magnitude stays $x_i$; others become
    $\mathrm{sign}(x_i) \max(|x_i| - t, 0)$. Of entries of equal magnitude, all are taken or none.

    Args:
        x: The vectors.
        threshold: The threshold $t \ge 0$, which broadcasts with `x`.
        selected: The number of entries that are trusted, from 0 to n.

    Returns:
        The shrunken vectors.

    Raises:
        ValueError: If more are selected than there are, or fewer than none.
        TypeError: If an array is not real, or the number is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import lista_cp
        >>> lista_cp.selective_threshold(jnp.array([3.0, 0.5, -2.0]), 1.0, selected=1)
        Array([ 3.,  0., -1.], dtype=float32)

    References:
        Chen, Liu, Wang and Yin, Theoretical linear convergence of unfolded ISTA and its practical weights and
        thresholds, 2018.
    """
    (x, threshold), back = real_arrays(x=x, threshold=threshold)
    checks.axes("x", x, "...", "n")
    selected = checks.count("selected", selected, least=0, most=x.shape[-1])
    return back(select(x, threshold, selected, selected))


def init(
    key: RandomKey,
    dictionary: Dictionary,
    *,
    steps: int,
    penalty: RealScalar,
    tied: bool = False,
    selection: tuple[float, float] = (0.0, 0.0),
) -> Parameters:
    r"""Make the parameters with which the network is ISTA, but for the entries that it trusts.

    $W = D / L$ and $\theta = \lambda / L$, with the largest eigenvalue $L$ of the Gram matrix.

    Args:
        key: The random key for drawing directions, used only if no dictionary is given.
        dictionary: The dictionary, one atom per row; or the numbers of atoms and features, for a dictionary
            of random directions.
        steps: The number of layers, at least 1.
        penalty: The weight $\lambda > 0$ of the sparsity term.
        tied: Whether all layers share their weight; thresholds are each layer's own.
        selection: The share of the entries by which the trusted ones grow from layer to layer, and their
            largest share: $k$ entries in layer $k$ of 100 for `(0.01, 1.0)`. The paper takes (0.012, 0.12)
            for a tenth of nonzeros.

    Returns:
        The parameters. Those of a dictionary of zeros give codes of zero.

    Raises:
        ValueError: If the dictionary is not a matrix, there is no step, the penalty is not positive, or the
            selection is not a pair of shares in order.
        TypeError: If an array is not real, a count is not a whole number, or `key` is not a random key.

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
    steps = checks.count("steps", steps)
    checks.positive("penalty", penalty, one=True)
    dictionary, back = as_dictionary(key, dictionary)
    selected = trusted_counts(selection, steps, dictionary.shape[0])
    curvature = safe_norm(dictionary)
    (weight,) = repeat([dictionary / curvature], steps, tied=tied)
    threshold = jnp.broadcast_to(penalty / curvature, (steps,)).astype(dictionary.dtype)
    return back(Parameters(dictionary, weight, threshold, selected))


def apply(
    params: Parameters, x: Real[AnyArray, "... features"], *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    r"""Return the codes after the last layer, $z \leftarrow \mathrm{soft}_{\theta_k}(z + (x - z D) W_k^T)$.

    Args:
        params: The parameters, as `init` returned them or as training left them.
        x: The signals.
        iterates: Whether to return the codes after each layer, with a first axis of the layers.
        remat: Whether reverse mode stores only the codes between layers and recomputes what lies inside them.

    Returns:
        The codes `(..., atoms)`, or the iterates `(steps, ..., atoms)`.

    Raises:
        ValueError: If the signals do not have as many features as the atoms.
        TypeError: If the signals are not real, or a flag is not one.

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
    sizes = [np.shape(params.dictionary)[1]]
    return applied(_applied, params, x, ["features"], sizes, iterates=iterates, remat=remat)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def _applied(params: Parameters, x: Array, *, iterates: bool, remat: bool) -> Array:
    dictionary = params.dictionary
    start = jnp.zeros((*x.shape[:-1], dictionary.shape[0]), x.dtype)

    def step(codes: Array, own: tuple[Array | None, ...]) -> Array:
        threshold, selected, weight = own
        weight = params.weight if weight is None else weight
        moved = codes + matmul(x - matmul(codes, dictionary), weight.T)
        return select(moved, threshold, selected, max(params.selected))

    layers = (params.threshold, jnp.asarray(params.selected), None if params.tied else params.weight)
    return unroll(step, start, layers, len(params.selected), iterates=iterates, remat=remat)
