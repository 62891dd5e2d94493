r"""LISTA, the learned iterative shrinkage-thresholding algorithm: a recurrent network shaped like ISTA.

A layer computes $z \leftarrow \mathrm{soft}_\theta(x E + z S)$ from codes of zero, for signals $x$, an
encoder $E$, a matrix $S$ of lateral connections and a threshold for each atom. At the start it is ISTA for
the lasso $\min_z \frac12 \|x - z D\|^2 + \lambda \|z\|_1$: $E = D^T / L$, $S = 1 - D D^T / L$,
$\theta = \lambda / L$, with the largest eigenvalue $L$ of the Gram matrix $D D^T$.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse.unrolled import lista
    >>> params = lista.init(jax.random.key(0), jnp.eye(3), steps=2, penalty=1.0)
    >>> lista.apply(params, jnp.array([3.0, -0.25, -2.0]))
    Array([ 2.,  0., -1.], dtype=float32)
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.sparse.proximal import soft_threshold
from jaxtheory.sparse.unrolled.layers import (
    Dictionary,
    applied,
    as_dictionary,
    repeat,
    safe_norm,
    unroll,
)


@record
class Parameters:
    """Weights of the layers, with a first axis of the layers where each has its own."""

    encoder: Float[AnyArray, "*steps features atoms"]
    """The encoder."""
    lateral: Float[AnyArray, "*steps atoms atoms"]
    """The lateral connections."""
    threshold: Float[AnyArray, "*steps atoms"]
    """The threshold of each atom."""
    steps: int = static()
    """The number of layers."""

    @property
    def tied(self) -> bool:
        """Whether all layers share their weights."""
        return jnp.ndim(self.encoder) == 2


def init(
    key: RandomKey, dictionary: Dictionary, *, steps: int, penalty: RealScalar, tied: bool = True
) -> Parameters:
    r"""Make the parameters with which the network is ISTA.

    Args:
        key: The random key for drawing directions, used only if no dictionary is given.
        dictionary: The dictionary, one atom per row; or the numbers of atoms and features, for a dictionary
            of random directions.
        steps: The number of layers, at least 1.
        penalty: The weight $\lambda > 0$ of the sparsity term.
        tied: Whether all layers share their weights, as in a recurrent network.

    Returns:
        The parameters. Those of a dictionary of zeros give codes of zero.

    Raises:
        ValueError: If the dictionary is not a matrix, there is no step, or the penalty is not positive.
        TypeError: If an array is not real, a count is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import lista
        >>> params = lista.init(jax.random.key(0), (8, 4), steps=3, penalty=0.1, tied=False)
        >>> params.encoder.shape, params.lateral.shape, params.threshold.shape
        ((3, 4, 8), (3, 8, 8), (3, 8))

    References:
        Gregor and LeCun, Learning fast approximations of sparse coding, 2010.
    """
    steps = checks.count("steps", steps)
    checks.positive("penalty", penalty, one=True)
    dictionary, back = as_dictionary(key, dictionary)
    atoms = dictionary.shape[0]
    curvature = safe_norm(dictionary)
    own = (
        dictionary.T / curvature,
        jnp.eye(atoms, dtype=dictionary.dtype) - matmul(dictionary, dictionary.T) / curvature,
        jnp.broadcast_to(penalty / curvature, (atoms,)).astype(dictionary.dtype),
    )
    return back(Parameters(*repeat(own, steps, tied=tied), steps))


def apply(
    params: Parameters, x: Real[AnyArray, "... features"], *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    r"""Return the codes after the last layer, $z \leftarrow \mathrm{soft}_\theta(x E + z S)$ from $z = 0$.

    Args:
        params: The parameters, as `init` returned them or as training left them.
        x: The signals.
        iterates: Whether to return the codes after each layer, with a first axis of the layers.
        remat: Whether reverse mode stores only the codes between layers and recomputes what lies inside them.

    Returns:
        The codes `(..., atoms)`, or the iterates `(steps, ..., atoms)`.

    Raises:
        ValueError: If the signals do not have as many features as the encoder takes.
        TypeError: If the signals are not real, or a flag is not one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import lista
        >>> params = lista.init(jax.random.key(0), (8, 4), steps=3, penalty=0.1)
        >>> lista.apply(params, jnp.ones((5, 4)), iterates=True).shape
        (3, 5, 8)

    References:
        Gregor and LeCun, Learning fast approximations of sparse coding, 2010.
    """
    sizes = [np.shape(params.encoder)[-2]]
    return applied(_applied, params, x, ["features"], sizes, iterates=iterates, remat=remat)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def _applied(params: Parameters, x: Array, *, iterates: bool, remat: bool) -> Array:
    weights = (params.encoder, params.lateral, params.threshold)
    start = jnp.zeros((*x.shape[:-1], params.lateral.shape[-1]), x.dtype)
    if params.tied:
        encoded = matmul(x, params.encoder)

        def step(codes: Array, _: None) -> Array:
            return soft_threshold(encoded + matmul(codes, params.lateral), params.threshold)

        return unroll(step, start, None, params.steps, iterates=iterates, remat=remat)

    def own_step(codes: Array, own: tuple[Array, ...]) -> Array:
        encoder, lateral, threshold = own
        return soft_threshold(matmul(x, encoder) + matmul(codes, lateral), threshold)

    return unroll(own_step, start, weights, params.steps, iterates=iterates, remat=remat)
