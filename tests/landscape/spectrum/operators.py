"""Operators whose spectra are known: matrices with given eigenvalues, and the Hessian of a small network."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxtheory.landscape import curvature


def matrix(eigenvalues, seed=0, dtype=float):
    """A symmetric matrix with the eigenvalues, in a random basis, and the operator that it is."""
    eigenvalues = np.asarray(eigenvalues, float)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((eigenvalues.size,) * 2))
    dense = (rotation * eigenvalues) @ rotation.T
    dense = (dense + dense.T) / 2
    return dense, curvature.Matrix(jnp.asarray(dense, dtype))


def with_outliers(n=60, seed=0):
    """A bulk around zero and four eigenvalues beyond it."""
    return np.concatenate([[30.0, 20.0, 9.0, -12.0], np.random.default_rng(seed).standard_normal(n - 4)])


def _loss(params, batch):
    x, y = batch
    hidden = jnp.tanh(x @ params["first"]["kernel"] + params["first"]["bias"])
    logits = hidden @ params["second"]["kernel"] + params["second"]["bias"]
    return jnp.mean(jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, y[:, None], 1)[:, 0])


@cache
def network():
    """The Hessian of a network of 43 parameters, as JAX's dense matrix and as an operator, in float64."""
    rng = np.random.default_rng(0)
    shapes = {"first": {"kernel": (4, 5), "bias": (5,)}, "second": {"kernel": (5, 3), "bias": (3,)}}
    params = jax.tree.map(
        lambda shape: jnp.asarray(rng.standard_normal(shape)),
        shapes,
        is_leaf=lambda one: isinstance(one, tuple),
    )
    x, y = jnp.asarray(rng.standard_normal((3, 10, 4))), jnp.asarray(rng.integers(0, 3, (3, 10)))
    flat, back = ravel_pytree(params)
    whole = (x.reshape(-1, 4), y.reshape(-1))
    dense = jax.hessian(lambda flat: _loss(back(flat), whole))(flat)
    return np.asarray(dense), curvature.hessian(_loss, params, (x, y))


def flattened(vectors):
    """Vectors on a leading axis as the rows of a matrix, in the order of `ravel_pytree`."""
    return np.asarray(jax.vmap(lambda one: ravel_pytree(one)[0])(vectors))


def stored(state):
    """The state as it comes back from a file."""
    leaves, structure = jax.tree.flatten(state)
    return jax.tree.unflatten(structure, [jnp.asarray(np.array(leaf)) for leaf in leaves])
