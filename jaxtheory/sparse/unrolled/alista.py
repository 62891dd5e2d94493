r"""ALISTA: an unrolled pursuit whose weight comes from the dictionary and whose few numbers are learned.

A layer computes $z \leftarrow \mathrm{soft}_{\theta_k}(z + \gamma_k (x - z D) W^T)$, with a step size and a
threshold of its own, and may trust its largest entries as in LISTA-CP. The weight minimizes
$\|W D^T\|_F$ among those with $\langle w_i, d_i \rangle = 1$, which keeps the generalized coherence
$\tilde\mu = \max_{i \ne j} |\langle w_i, d_j \rangle|$ low.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse.unrolled import alista
    >>> params = alista.init(jax.random.key(0), jnp.eye(3), steps=2, threshold=1.0)
    >>> alista.apply(params, jnp.array([3.0, -0.25, -2.0]))
    Array([ 2.,  0., -1.], dtype=float32)
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
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.sparse.unrolled.layers import Dictionary, applied, as_dictionary, unroll
from jaxtheory.sparse.unrolled.selection import select, trusted_counts


@record
class Parameters:
    """Dictionary and weight, which are held, and the numbers that are learned."""

    dictionary: Float[AnyArray, "atoms features"]
    """The dictionary that the signals are made of."""
    weight: Float[AnyArray, "atoms features"]
    """The weight, computed from the dictionary."""
    step_size: Float[AnyArray, " steps"]
    """The step size of each layer."""
    threshold: Float[AnyArray, " steps"]
    """The threshold of each layer."""
    selected: tuple[int, ...] = static()
    """The number of its largest entries that each layer trusts."""


def analytic_weight(dictionary: Real[AnyArray, "atoms features"]) -> Float[Array, "atoms features"]:
    r"""Return the weight of least $\|W D^T\|_F$ with $\langle w_i, d_i \rangle = 1$ for each atom.

    In closed form, these are the atoms of the dual frame, the columns of the pseudoinverse $D^+$, scaled:
    $w_i = D^+_i / \langle D^+_i, d_i \rangle$.

    Args:
        dictionary: The dictionary, one atom per row, none of zeros.

    Returns:
        The weight.

    Raises:
        ValueError: If the dictionary is not a matrix, or an atom is zero.
        TypeError: If it is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import alista
        >>> alista.analytic_weight(jnp.array([[0.0, 1.0], [0.6, 0.8]])).round(4)
        Array([[-1.3333,  1.      ],
               [ 1.6667,  0.      ]], dtype=float32)

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    (dictionary,), back = real_arrays(dictionary=dictionary)
    checks.axes("dictionary", dictionary, "atoms", "features")
    if checks.known(dictionary):
        empty = np.flatnonzero(~np.any(np.asarray(dictionary), axis=1))
        if empty.size:
            raise ValueError(
                f"dictionary has zeros in atom {empty[0]}: leave it out, as no weight has product 1 with it"
            )
    dual = jnp.linalg.pinv(dictionary).T
    return back(dual / jnp.sum(dual * dictionary, axis=1, keepdims=True))


def generalized_coherence(
    dictionary: Real[AnyArray, "atoms features"], weight: Real[AnyArray, "atoms features"]
) -> Float[Array, ""]:
    r"""Return the largest product of a weight with another atom, $\max_{i \ne j} |\langle w_i, d_j \rangle|$.

    Args:
        dictionary: The dictionary, one atom per row.
        weight: A weight for each atom, with $\langle w_i, d_i \rangle = 1$.

    Returns:
        A number; the mutual coherence where the weight is the dictionary, of unit norm.

    Raises:
        ValueError: If the two are not matrices of one shape.
        TypeError: If one is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import alista
        >>> dictionary = jnp.array([[1.0, 0.0], [0.6, 0.8]])
        >>> float(alista.generalized_coherence(dictionary, dictionary).round(4))
        0.6

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    (dictionary, weight), back = real_arrays(dictionary=dictionary, weight=weight)
    checks.axes("dictionary", dictionary, "atoms", "features")
    checks.axes("weight", weight, "atoms", "features", sizes=dictionary.shape)
    products = matmul(weight, dictionary.T)
    return back(jnp.max(jnp.abs(products * (1 - jnp.eye(len(products), dtype=products.dtype))), initial=0))


def init(
    key: RandomKey,
    dictionary: Dictionary,
    *,
    steps: int,
    threshold: RealScalar,
    selection: tuple[float, float] = (0.0, 0.0),
) -> Parameters:
    r"""Make parameters with the analytic weight, step sizes of 1 and one threshold for all layers.

    Args:
        key: The random key for drawing directions, used only if no dictionary is given.
        dictionary: The dictionary, one atom per row; or the numbers of atoms and features, for a dictionary
            of random directions.
        steps: The number of layers, at least 1.
        threshold: The threshold $\theta > 0$ that all layers have initially.
        selection: The share of the entries by which the trusted ones grow from layer to layer, and their
            largest share.

    Returns:
        The parameters.

    Raises:
        ValueError: If the dictionary is not a matrix or holds an atom of zeros, there is no step, the
            threshold is not positive, or the selection is not a pair of shares in order.
        TypeError: If an array is not real, a count is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import alista
        >>> params = alista.init(jax.random.key(0), (8, 4), steps=3, threshold=0.1)
        >>> params.weight.shape, params.step_size
        ((8, 4), Array([1., 1., 1.], dtype=float32))

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    steps = checks.count("steps", steps)
    checks.positive("threshold", threshold, one=True)
    dictionary, back = as_dictionary(key, dictionary)
    return back(
        Parameters(
            dictionary,
            analytic_weight(dictionary),
            jnp.ones((steps,), dictionary.dtype),
            jnp.broadcast_to(threshold, (steps,)).astype(dictionary.dtype),
            trusted_counts(selection, steps, dictionary.shape[0]),
        )
    )


def apply(
    params: Parameters, x: Real[AnyArray, "... features"], *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    r"""Return the codes after the last layer.

    $z \leftarrow \mathrm{soft}_{\theta_k}(z + \gamma_k (x - z D) W^T)$ from $z = 0$.

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
        >>> from jaxtheory.sparse.unrolled import alista
        >>> params = alista.init(jax.random.key(0), (8, 4), steps=3, threshold=0.1)
        >>> alista.apply(params, jnp.ones((5, 4)), iterates=True).shape
        (3, 5, 8)

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    sizes = [np.shape(params.dictionary)[1]]
    return applied(_applied, params, x, ["features"], sizes, iterates=iterates, remat=remat)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def _applied(params: Parameters, x: Array, *, iterates: bool, remat: bool) -> Array:
    dictionary = params.dictionary
    start = jnp.zeros((*x.shape[:-1], dictionary.shape[0]), x.dtype)

    def step(codes: Array, own: tuple[Array, ...]) -> Array:
        step_size, threshold, selected = own
        moved = codes + step_size * matmul(x - matmul(codes, dictionary), params.weight.T)
        return select(moved, threshold, selected, max(params.selected))

    layers = (params.step_size, params.threshold, jnp.asarray(params.selected))
    return unroll(step, start, layers, len(params.selected), iterates=iterates, remat=remat)
