r"""ALISTA: an unrolled pursuit whose weight comes from the dictionary and whose few numbers are learnt.

A layer computes $z \leftarrow \mathrm{soft}_{\theta_k}(z + \gamma_k (x - z D) W^T)$, with a step size and a
threshold of its own, and may trust its largest entries as in LISTA-CP. The weight minimises
$\|W D^T\|_F$ among those with $\langle w_i, d_i \rangle = 1$, which keeps the generalised coherence
$\tilde\mu = \max_{i \ne j} |\langle w_i, d_j \rangle|$ low.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse.unrolled import alista
    >>> params = alista.init(jax.random.key(0), jnp.eye(3), steps=2, threshold=1.0)
    >>> alista.apply(params, jnp.array([3.0, -0.25, -2.0]))
    Array([ 2.,  0., -1.], dtype=float32)
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

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
    _unroll,
)
from jaxtheory.sparse.unrolled.lista_cp import _selected, _selective

Matrix = Float[Array, "atoms features"] | Float[np.ndarray, "atoms features"]


@_registered
@dataclass(frozen=True)
class Parameters:
    """Dictionary and weight, which are held, and the numbers that are learnt."""

    dictionary: Any
    """(atoms, features), the one that the signals are made of."""
    weight: Any
    """(atoms, features), computed from the dictionary."""
    step_size: Any
    """(steps,)."""
    threshold: Any
    """(steps,)."""
    selected: tuple[int, ...] = field(metadata={"static": True})
    """How many of its largest entries each layer trusts."""


def analytic_weight(dictionary: Matrix) -> Float[Array, "atoms features"]:
    r"""The weight of least $\|W D^T\|_F$ with $\langle w_i, d_i \rangle = 1$ for each atom.

    In closed form: the atoms of the dual frame, the columns of the pseudoinverse $D^+$, scaled,
    $w_i = D^+_i / \langle D^+_i, d_i \rangle$.

    Args:
        dictionary: Shape `(atoms, features)`, no atom of zeros.

    Returns:
        Shape `(atoms, features)`.

    Raises:
        ValueError: If the dictionary is no matrix, or an atom (where it has values) is zero.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import alista
        >>> alista.analytic_weight(jnp.array([[0.0, 1.0], [0.6, 0.8]])).round(4)
        Array([[-1.3333,  1.      ],
               [ 1.6667,  0.      ]], dtype=float32)

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    dictionary = jnp.asarray(dictionary)
    _check_matrix("dictionary", dictionary)
    if not isinstance(dictionary, jax.core.Tracer):
        empty = np.flatnonzero(~np.any(np.asarray(dictionary), axis=1))
        if empty.size:
            raise ValueError(f"atom {empty[0]} is zero: no weight has the product 1 with it; leave it out")
    dual = jnp.linalg.pinv(dictionary).T
    return dual / jnp.sum(dual * dictionary, axis=1, keepdims=True)


def generalized_coherence(dictionary: Matrix, weight: Matrix) -> Float[Array, ""]:
    r"""The largest product of a weight with another atom, $\max_{i \ne j} |\langle w_i, d_j \rangle|$.

    Args:
        dictionary: Shape `(atoms, features)`.
        weight: Of the same shape, with $\langle w_i, d_i \rangle = 1$.

    Returns:
        A number; the mutual coherence where the weight is the dictionary, of unit norm.

    Raises:
        ValueError: If the two are no matrices of one shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import alista
        >>> dictionary = jnp.array([[1.0, 0.0], [0.6, 0.8]])
        >>> float(alista.generalized_coherence(dictionary, dictionary).round(4))
        0.6

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    dictionary, weight = jnp.asarray(dictionary), jnp.asarray(weight)
    _check_matrix("dictionary", dictionary)
    if weight.shape != dictionary.shape:
        raise ValueError(
            f"the weight is {weight.shape} and the dictionary {dictionary.shape}: give one weight an atom"
        )
    products = jnp.matmul(weight, dictionary.T, precision="highest")
    return jnp.max(jnp.abs(products * (1 - jnp.eye(len(products), dtype=products.dtype))))


def _check_matrix(name: str, matrix: Array) -> None:
    if matrix.ndim != 2:
        raise ValueError(f"the {name} is a matrix (atoms, features), found an array of shape {matrix.shape}")


def init(
    key: AnyKey,
    dictionary: Dictionary,
    *,
    steps: int,
    threshold: Number,
    selection: tuple[float, float] = (0.0, 0.0),
) -> Parameters:
    r"""Parameters with the analytic weight, step sizes of 1 and one threshold for all layers.

    Args:
        key: What a dictionary is drawn from, if none is given.
        dictionary: Shape `(atoms, features)`, one atom a row; or the tuple of these two numbers, for random
            directions.
        steps: The number of layers, at least 1.
        threshold: $\theta > 0$ to begin with.
        selection: By which share of the entries the trusted ones grow from layer to layer, and their largest
            share.

    Returns:
        The parameters.

    Raises:
        ValueError: If the dictionary is no matrix or holds an atom of zeros, there is no step, the threshold
            (where it has a value) is not positive, or the selection is no pair of shares in order.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import alista
        >>> params = alista.init(jax.random.key(0), (8, 4), steps=3, threshold=0.1)
        >>> params.weight.shape, params.step_size
        ((8, 4), Array([1., 1., 1.], dtype=float32))

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    _check_steps(steps)
    _check_positive("threshold", threshold)
    dictionary = _atoms(key, dictionary)
    return Parameters(
        dictionary,
        analytic_weight(dictionary),
        jnp.ones((steps,), dictionary.dtype),
        jnp.broadcast_to(threshold, (steps,)).astype(dictionary.dtype),
        _selected(selection, steps, dictionary.shape[0]),
    )


@partial(jax.jit, static_argnames=("iterates", "remat"))
def apply(
    params: Parameters, x: Signals, *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    r"""The codes after the last layer, $z \leftarrow \mathrm{soft}_{\theta_k}(z + \gamma_k (x - z D) W^T)$.

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
        >>> from jaxtheory.sparse.unrolled import alista
        >>> params = alista.init(jax.random.key(0), (8, 4), steps=3, threshold=0.1)
        >>> alista.apply(params, jnp.ones((5, 4)), iterates=True).shape
        (3, 5, 8)

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    x = jnp.asarray(x)
    dictionary = params.dictionary
    _check_features(dictionary.shape[1], x)
    dtype = jnp.result_type(x, dictionary, params.weight, params.step_size, params.threshold)
    start = jnp.zeros((*x.shape[:-1], dictionary.shape[0]), dtype)

    def step(codes, own):
        step_size, threshold, selected = own
        left = x - jnp.matmul(codes, dictionary, precision="highest")
        moved = codes + step_size * jnp.matmul(left, params.weight.T, precision="highest")
        return _selective(moved, threshold, selected, max(params.selected))

    layers = (params.step_size, params.threshold, jnp.asarray(params.selected))
    return _unroll(step, start, layers, len(params.selected), iterates=iterates, remat=remat)
