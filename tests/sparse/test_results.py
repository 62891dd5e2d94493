"""Results of sparse solvers pass through transformations and can be exported."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.sparse.results import GreedyResult, LassoResult


def lasso_result(x):
    return LassoResult(x, x[..., 0], x[..., 1], jnp.full(x.shape[:-1], 3), x[..., 0] > 0)


def greedy_result(x):
    return GreedyResult(
        x, jnp.zeros((*x.shape[:-1], 2), int), x[..., 0], jnp.full(x.shape[:-1], 2), x[..., 0] > 0
    )


def test_results_are_trees_of_their_fields_in_order():
    x = jnp.arange(6.0).reshape(2, 3)
    names = [path[0].name for path, _ in jax.tree_util.tree_flatten_with_path(lasso_result(x))[0]]
    assert names == ["codes", "objective", "gap", "steps", "converged"]
    names = [path[0].name for path, _ in jax.tree_util.tree_flatten_with_path(greedy_result(x))[0]]
    assert names == ["codes", "support", "residual", "steps", "in_range"]


def test_results_are_exported():
    x = jnp.arange(6.0).reshape(2, 3)
    for function in (lasso_result, greedy_result):
        exported = jax.export.export(jax.jit(function))(x)
        found = jax.export.deserialize(exported.serialize()).call(x)
        assert type(found) is type(function(x))
        jax.tree.map(np.testing.assert_array_equal, found, function(x))
