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

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxtheory.sparse.proximal import soft_threshold
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
    """Weights of the layers, with a first axis of the layers where each has its own."""

    encoder: Any
    """(features, atoms) or (steps, features, atoms)."""
    lateral: Any
    """(atoms, atoms) or (steps, atoms, atoms)."""
    threshold: Any
    """(atoms,) or (steps, atoms)."""
    steps: int = field(metadata={"static": True})
    """The number of layers."""

    @property
    def tied(self) -> bool:
        """Whether all layers share their weights."""
        return jnp.ndim(self.encoder) == 2


def init(
    key: AnyKey, dictionary: Dictionary, *, steps: int, penalty: Number, tied: bool = True
) -> Parameters:
    r"""The parameters with which the network is ISTA.

    Args:
        key: What a dictionary is drawn from, if none is given.
        dictionary: Shape `(atoms, features)`, one atom a row; or the tuple of these two numbers, for random
            directions.
        steps: The number of layers, at least 1.
        penalty: $\lambda > 0$.
        tied: Whether all layers share their weights, as in a recurrent network.

    Returns:
        The parameters.

    Raises:
        ValueError: If the dictionary is no matrix, there is no step, or the penalty (where it has a value) is
            not positive.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import lista
        >>> params = lista.init(jax.random.key(0), (8, 4), steps=3, penalty=0.1, tied=False)
        >>> params.encoder.shape, params.lateral.shape, params.threshold.shape
        ((3, 4, 8), (3, 8, 8), (3, 8))

    References:
        Gregor and LeCun, Learning fast approximations of sparse coding, 2010.
    """
    _check_steps(steps)
    _check_positive("penalty", penalty)
    dictionary = _atoms(key, dictionary)
    atoms = dictionary.shape[0]
    curvature = _curvature(dictionary)
    gram = jnp.matmul(dictionary, dictionary.T, precision="highest")
    own = (
        dictionary.T / curvature,
        jnp.eye(atoms, dtype=dictionary.dtype) - gram / curvature,
        jnp.broadcast_to(penalty / curvature, (atoms,)).astype(dictionary.dtype),
    )
    if not tied:
        own = tuple(jnp.broadcast_to(leaf, (steps, *leaf.shape)) for leaf in own)
    return Parameters(*own, steps)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def apply(
    params: Parameters, x: Signals, *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    r"""The codes after the last layer, $z \leftarrow \mathrm{soft}_\theta(x E + z S)$ from $z = 0$.

    Args:
        params: What `init` returned, or what became of it.
        x: Signals, shape `(..., features)`.
        iterates: Whether to return the codes after each layer.
        remat: Whether reverse mode keeps only the codes between layers and computes what is inside again.

    Returns:
        Shape `(..., atoms)`, or `(steps, ..., atoms)` for the iterates.

    Raises:
        ValueError: If the signals have not as many features as the encoder takes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import lista
        >>> params = lista.init(jax.random.key(0), (8, 4), steps=3, penalty=0.1)
        >>> lista.apply(params, jnp.ones((5, 4)), iterates=True).shape
        (3, 5, 8)

    References:
        Gregor and LeCun, Learning fast approximations of sparse coding, 2010.
    """
    x = jnp.asarray(x)
    _check_features(params.encoder.shape[-2], x)
    weights = (params.encoder, params.lateral, params.threshold)
    start = jnp.zeros((*x.shape[:-1], params.lateral.shape[-1]), jnp.result_type(x, *weights))
    product = partial(jnp.matmul, precision="highest")
    if params.tied:
        encoded = product(x, params.encoder)

        def step(codes, _):
            return soft_threshold(encoded + product(codes, params.lateral), params.threshold)

        return _unroll(step, start, None, params.steps, iterates=iterates, remat=remat)

    def own_step(codes, own):
        encoder, lateral, threshold = own
        return soft_threshold(product(x, encoder) + product(codes, lateral), threshold)

    return _unroll(own_step, start, weights, params.steps, iterates=iterates, remat=remat)
