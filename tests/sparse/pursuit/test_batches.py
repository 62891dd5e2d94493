"""Pursuits alone, in a batch, under vmap and with derivatives through it agree."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse import pursuit
from tests.sparse.pursuit.problems import unit


@pytest.mark.beyond
def test_lone_signals_converge_at_the_defaults_as_in_a_batch(rng):
    dictionary = np.float32(unit(rng.standard_normal((40, 32))))
    signals = np.float32(rng.standard_normal((60, 32)))
    together = pursuit.lasso(dictionary, signals, 0.1)
    mapped = jax.vmap(lambda signal: pursuit.lasso(dictionary, signal, 0.1))(signals)
    alone = [pursuit.lasso(dictionary, signal, 0.1) for signal in signals]
    alone = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    with jax.enable_x64(True):
        exact = pursuit.lasso(np.float64(dictionary), np.float64(signals), 0.1)
        assert exact.converged.all()
    for found in (together, mapped, alone):
        assert found.converged.sum() >= 59
        np.testing.assert_array_equal(found.converged, together.converged)
        np.testing.assert_allclose(found.codes, exact.codes, atol=1e-4)
        np.testing.assert_allclose(found.objective, exact.objective, rtol=4e-6)
    # A batch is more signals: not another path to nearly the same codes.
    np.testing.assert_allclose(mapped.codes, together.codes, atol=1e-6)


@pytest.mark.beyond
def test_vmap_over_everything_that_a_lasso_takes(problem, x64):
    dictionary, signals = problem
    dictionaries = np.stack([dictionary, 2 * dictionary, dictionary[::-1]])
    penalties = np.array([0.1, 0.2, 0.3])
    solve = partial(pursuit.lasso, tolerance=1e-12)
    for axes, arguments in {
        (None, None, 0): (dictionary, signals, penalties),
        (0, None, None): (dictionaries, signals, 0.1),
        (0, 1, 0): (dictionaries, signals[:3].T, penalties),
    }.items():
        found = jax.vmap(solve, axes)(*arguments)
        for i in range(3):
            own = [a if axis is None else np.take(a, i, axis) for a, axis in zip(arguments, axes)]
            expected = solve(*own)
            np.testing.assert_allclose(found.codes[i], expected.codes, atol=1e-6)
            assert found.converged[i].all()
    nested = jax.vmap(jax.vmap(lambda x: solve(dictionary, x, 0.1)))(signals.reshape(5, 10, 20))
    expected = solve(dictionary, signals, 0.1)
    np.testing.assert_allclose(nested.codes.reshape(50, 30), expected.codes, atol=1e-6)
    pair = (lambda codes: codes @ dictionary, lambda x: x @ dictionary.T)
    by_pair = jax.vmap(lambda x: solve(pair, x, 0.1))(signals)
    np.testing.assert_allclose(by_pair.codes, expected.codes, atol=1e-6)


@pytest.mark.beyond
def test_derivatives_through_vmap(problem, x64):
    dictionary, signals = (jnp.asarray(array) for array in problem)

    def total(dictionary, signals, penalty):
        result = pursuit.lasso(dictionary, signals, penalty, tolerance=1e-14)
        return jnp.sum(jnp.sin(result.codes) + result.objective[..., None])

    each = jax.vmap(jax.grad(total, (0, 1, 2)), (None, 0, None))(dictionary, signals, 0.1)
    whole = jax.grad(total, (0, 1, 2))(dictionary, signals, 0.1)
    np.testing.assert_allclose(each[0].sum(0), whole[0], atol=1e-5)
    np.testing.assert_allclose(each[1], whole[1], atol=1e-5)
    np.testing.assert_allclose(each[2].sum(), whole[2], atol=1e-5)
    hessian = jax.vmap(jax.jacfwd(jax.grad(total, 1), 1), (None, 0, None))(dictionary, signals[:2], 0.1)
    alone = jax.jacfwd(jax.grad(total, 1), 1)(dictionary, signals[1], 0.1)
    np.testing.assert_allclose(hessian[1], alone, atol=1e-5)
