"""The lasso and its path against scikit-learn, optimality conditions and finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from sklearn.decomposition import sparse_encode
from sklearn.linear_model import lars_path

from jaxtheory.sparse import pursuit
from tests.sparse.pursuit.problems import assert_stationary, objective, unit


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("penalty", [0.02, 0.3])
def test_the_lasso_against_scikit_learn(problem, penalty, nonnegative, x64):
    dictionary, signals = problem
    result = pursuit.lasso(dictionary, signals, penalty, tolerance=1e-12, nonnegative=nonnegative)
    assert result.converged.all()
    expected = sparse_encode(
        signals, dictionary, algorithm="lasso_cd", alpha=penalty, positive=nonnegative, max_iter=100_000
    )
    ours = objective(dictionary, signals, result.codes, penalty)
    theirs = objective(dictionary, signals, expected, penalty)
    # Coordinate descent stops at a gap of 1e-4 of the signal's energy.
    assert (ours <= theirs + 1e-10).all()
    np.testing.assert_allclose(ours, theirs, rtol=1e-2)
    assert_stationary(dictionary, signals, result.codes, penalty, nonnegative=nonnegative)


def test_the_lasso_against_least_angles(problem, x64):
    dictionary, signals = problem
    result = pursuit.lasso(dictionary, signals[:5], 0.1, tolerance=1e-13)
    for signal, codes in zip(signals, np.asarray(result.codes)):
        # Its penalty is divided by the number of features.
        path = lars_path(dictionary.T, signal, method="lasso", alpha_min=0.1 / 20)
        assert path[0][-1] == pytest.approx(0.1 / 20)
        np.testing.assert_allclose(codes, path[2][:, -1], atol=1e-6)


@pytest.mark.beyond
@pytest.mark.parametrize("shape", [(30,), (50, 1), (50, 30)])
def test_penalties_per_atom_and_per_signal(problem, shape, rng, x64):
    dictionary, signals = problem
    penalty = rng.uniform(0.05, 0.4, shape)
    result = pursuit.lasso(dictionary, signals, penalty, tolerance=1e-13)
    assert result.converged.all()
    assert_stationary(dictionary, signals, result.codes, penalty)


@pytest.mark.beyond
@pytest.mark.parametrize("nonnegative", [False, True])
def test_the_gap_bounds_the_distance_to_the_minimum(problem, nonnegative, x64):
    dictionary, signals = problem
    best = pursuit.lasso(dictionary, signals, 0.1, tolerance=1e-13, nonnegative=nonnegative)
    best = objective(dictionary, signals, best.codes, 0.1)
    for max_steps in (2, 10, 30):
        early = pursuit.lasso(dictionary, signals, 0.1, max_steps=max_steps, nonnegative=nonnegative)
        distance = objective(dictionary, signals, early.codes, 0.1) - best
        assert (distance <= early.gap + 1e-12).all()
        assert early.steps.max() <= max_steps
        if max_steps == 2:
            assert distance.max() > 1e-3


@pytest.mark.beyond
def test_single_precision_many_blocks_and_leading_axes(rng):
    dictionary = np.float32(unit(rng.standard_normal((40, 16))))
    signals = np.float32(rng.standard_normal((3, 300, 16)))
    result = pursuit.lasso(dictionary, signals, 0.3, tolerance=1e-5)
    assert result.codes.shape == (3, 300, 40)
    assert result.codes.dtype == np.float32
    assert result.gap.shape == result.steps.shape == (3, 300)
    assert result.converged.all()
    assert_stationary(dictionary, signals, result.codes, 0.3, tolerance=5e-3)
    with jax.enable_x64(True):
        exact = pursuit.lasso(np.float64(dictionary), np.float64(signals), 0.3, tolerance=1e-12)
    ours, best = (objective(dictionary, signals, one.codes, 0.3) for one in (result, exact))
    np.testing.assert_allclose(ours, best, rtol=1.1e-5)


@pytest.mark.beyond
@pytest.mark.parametrize("nonnegative", [False, True])
def test_atoms_that_come_twice_leave_the_minimum_as_it_is(rng, nonnegative, x64):
    atoms = unit(rng.standard_normal((20, 20)))
    signals = rng.standard_normal((60, 20))
    once, twice = (
        pursuit.lasso(d, signals, 0.01, tolerance=1e-10, nonnegative=nonnegative)
        for d in (atoms, np.concatenate([atoms, atoms]))
    )
    assert once.converged.all()
    assert twice.converged.all()
    expected = objective(atoms, signals, once.codes, 0.01)
    np.testing.assert_allclose(
        objective(np.concatenate([atoms, atoms]), signals, twice.codes, 0.01), expected, rtol=1e-9
    )
    if nonnegative:
        assert (twice.codes >= 0).all()
        assert (once.codes >= 0).all()


@pytest.mark.beyond
def test_many_signals_meet_a_millionth_in_single_precision(rng):
    dictionary = unit(rng.standard_normal((128, 64)).astype(np.float32))
    codes = rng.standard_normal((600, 128)) * (rng.uniform(size=(600, 128)) < 0.06)
    signals = (codes @ dictionary).astype(np.float32)
    result = pursuit.lasso(dictionary, signals, 0.1, tolerance=1e-6)
    assert result.converged.all()
    with jax.enable_x64(True):
        exact = pursuit.lasso(np.float64(dictionary), np.float64(signals), 0.1, tolerance=1e-12)
    ours, best = (objective(dictionary, signals, one.codes, 0.1) for one in (result, exact))
    np.testing.assert_allclose(ours, best, rtol=1e-6)


@pytest.mark.beyond
def test_a_dictionary_as_a_pair_of_functions(problem, x64):
    dictionary, signals = problem
    matrix = jnp.asarray(dictionary)
    expected = pursuit.lasso(dictionary, signals, 0.1, tolerance=1e-13).codes
    plain = (lambda codes: codes @ matrix, lambda x: x @ matrix.T)
    found = pursuit.lasso(plain, signals, 0.1, tolerance=1e-13)
    assert found.converged.all()
    np.testing.assert_allclose(found.codes, expected, atol=1e-7)

    def total(function, matrix):
        codes = function(matrix)
        return jnp.sum(codes**2)

    def by_pair(matrix):
        pair = Partial(lambda d, codes: codes @ d, matrix), Partial(lambda d, x: x @ d.T, matrix)
        return pursuit.lasso(pair, signals, 0.1, tolerance=1e-13).codes

    def by_matrix(matrix):
        return pursuit.lasso(matrix, signals, 0.1, tolerance=1e-13).codes

    slopes = [jax.grad(partial(total, function))(matrix) for function in (by_pair, by_matrix)]
    np.testing.assert_allclose(*slopes, atol=1e-5)
    greedy = pursuit.orthogonal_matching_pursuit(plain, signals, sparsity=4).codes
    matrix_greedy = pursuit.orthogonal_matching_pursuit(dictionary, signals, sparsity=4).codes
    np.testing.assert_allclose(greedy, matrix_greedy, atol=1e-10)


@pytest.mark.beyond
@pytest.mark.parametrize("nonnegative", [False, True])
def test_derivatives_against_finite_differences(problem, nonnegative, rng, x64):
    dictionary, signals = (jnp.asarray(array) for array in problem)
    weights = jnp.asarray(rng.standard_normal((50, 30)))
    penalty = jnp.asarray(rng.uniform(0.1, 0.2, 30))

    def scalar(free):
        result = pursuit.lasso(*free, tolerance=1e-14, nonnegative=nonnegative)
        return jnp.sum(weights * jnp.sin(result.codes))

    free = (dictionary, signals, penalty)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), free)

    def moved(function, step):
        return function(jax.tree.map(lambda leaf, d: leaf + step * d, free, direction))

    step = 1e-6
    slope = (moved(scalar, step) - moved(scalar, -step)) / (2 * step)
    gradient = jax.grad(scalar)(free)
    total = sum(jnp.vdot(g, d) for g, d in zip(gradient, direction))
    np.testing.assert_allclose(total, slope, rtol=1e-5)
    _, tangent = jax.jvp(scalar, (free,), (direction,))
    np.testing.assert_allclose(tangent, slope, rtol=1e-5)
    # Forward over reverse.
    _, product = jax.jvp(jax.grad(scalar), (free,), (direction,))
    slopes = moved(jax.grad(scalar), step), moved(jax.grad(scalar), -step)
    for found, above, below in zip(product, *slopes):
        expected = (above - below) / (2 * step)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.beyond
def test_the_path_is_the_lasso_at_each_penalty_in_fewer_steps(problem, x64):
    dictionary, signals = problem
    penalties = np.geomspace(0.5, 0.005, 12)
    path = pursuit.lasso_path(dictionary, signals, penalties, tolerance=1e-10)
    assert path.codes.shape == (12, 50, 30)
    assert path.converged.all()
    cold = [pursuit.lasso(dictionary, signals, penalty, tolerance=1e-10) for penalty in penalties]
    for warm, alone in zip(path.codes, cold):
        np.testing.assert_allclose(warm, alone.codes, atol=1e-4)
    assert path.steps[1:].sum() < 0.7 * sum(alone.steps.sum() for alone in cold[1:])
    by_atom = pursuit.lasso_path(dictionary, signals, np.ones((2, 30)) * penalties[:2, None], tolerance=1e-10)
    np.testing.assert_allclose(by_atom.codes, path.codes[:2], atol=1e-4)


@pytest.mark.beyond
def test_a_tolerance_out_of_reach_is_flagged(problem):
    dictionary, signals = (np.float32(array) for array in problem)
    early = pursuit.lasso(dictionary, signals, 0.01, max_steps=4)
    assert not early.converged.any()
    assert (early.steps == 4).all()
    assert (early.gap > 0).all()
    beyond = pursuit.lasso(dictionary, 1e3 * signals, 0.01, tolerance=1e-9, max_steps=1000)
    assert not beyond.converged.all()
    assert np.isfinite(beyond.codes).all()
    hurried = pursuit.basis_pursuit(dictionary, signals, tolerance=1e-12, max_steps=2)
    assert not hurried.converged.any()


@pytest.mark.beyond
def test_a_penalty_under_jit_that_is_negative_or_nan_is_flagged(problem):
    dictionary, signals = (np.float32(array) for array in problem)
    penalty = np.full((50, 1), 0.1, np.float32)
    expected = pursuit.lasso(dictionary, signals, penalty, tolerance=1e-5)
    penalty[3], penalty[5] = np.nan, -1
    found = jax.jit(partial(pursuit.lasso, tolerance=1e-5))(dictionary, signals, penalty)
    wrong = np.isin(np.arange(50), [3, 5])
    np.testing.assert_array_equal(found.converged, ~wrong)
    assert np.isnan(found.codes[wrong]).all()
    np.testing.assert_allclose(found.codes[~wrong], expected.codes[~wrong], atol=1e-5)


@pytest.mark.beyond
def test_the_objective_and_its_derivative(problem, rng, x64):
    dictionary, signals = problem
    penalty = rng.uniform(0.05, 0.4, 30)
    result = pursuit.lasso(dictionary, signals, penalty, tolerance=1e-14)
    np.testing.assert_allclose(
        result.objective, objective(dictionary, signals, result.codes, penalty), rtol=1e-12
    )

    def least(dictionary, signals, penalty):
        return pursuit.lasso(dictionary, signals, penalty, tolerance=1e-14).objective.sum()

    # At a minimum, only what stands in the objective besides the codes moves it.
    codes = np.asarray(result.codes)
    residual = signals - codes @ dictionary
    found = jax.grad(least, (0, 1, 2))(jnp.asarray(dictionary), jnp.asarray(signals), jnp.asarray(penalty))
    for one, expected in zip(found, (-codes.T @ residual, residual, np.abs(codes).sum(0))):
        np.testing.assert_allclose(one, expected, atol=1e-6)


@pytest.mark.beyond
@pytest.mark.parametrize("count", [3, 50])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_an_infinite_penalty_is_the_lasso_without_that_atom(problem, count, nonnegative, x64):
    dictionary, signals = problem[0], problem[1][:count]
    penalty = np.full(30, 0.1)
    penalty[[4, 17]] = np.inf
    solve = partial(pursuit.lasso, tolerance=1e-13, nonnegative=nonnegative)
    result = solve(dictionary, signals, penalty)
    kept = np.isfinite(penalty)
    expected = solve(dictionary[kept], signals, 0.1)
    assert (result.codes[:, ~kept] == 0).all()
    np.testing.assert_allclose(result.codes[:, kept], expected.codes, atol=1e-6)
    np.testing.assert_allclose(result.objective, expected.objective, rtol=1e-12)
    assert result.converged.all()
    slope = jax.grad(lambda penalty: solve(dictionary, signals, penalty).codes.sum())(jnp.asarray(penalty))
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[~kept], 0)


@pytest.mark.beyond
@pytest.mark.parametrize("count", [3, 50])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_an_atom_without_a_penalty(problem, count, nonnegative, x64):
    dictionary, signals = problem[0], problem[1][:count]
    penalty = np.full((count, 30), 0.1)
    penalty[:, [4, 17]] = 0
    penalty[1:, 9] = 0
    solve = jax.jit(partial(pursuit.lasso, tolerance=1e-12, nonnegative=nonnegative))
    result = solve(dictionary, signals, penalty)
    assert result.converged.all()
    codes = np.asarray(result.codes)
    correlations = (signals - codes @ dictionary) @ dictionary.T
    excess = (correlations if nonnegative else np.abs(correlations)) - penalty
    assert excess.max() < 1e-6
    on = codes != 0
    np.testing.assert_allclose(correlations[on], (np.sign(codes) * penalty)[on], atol=1e-6)
    assert not nonnegative or codes.min() == 0
    if not nonnegative:
        assert on[:, [4, 17]].all()
        # Eliminated, the atoms leave a lasso of what is orthogonal to them.
        free = dictionary[[4, 17]]
        outside = np.eye(20) - np.linalg.pinv(free) @ free
        rest = np.delete(dictionary, [4, 17], axis=0) @ outside
        expected = pursuit.lasso(rest, signals[0] @ outside, 0.1, tolerance=1e-12)
        np.testing.assert_allclose(np.delete(codes[0], [4, 17]), expected.codes, atol=1e-6)
        np.testing.assert_allclose(result.objective[0], expected.objective, rtol=1e-10)


@pytest.mark.beyond
def test_no_penalty_at_all_is_least_squares(rng):
    dictionary, signals = np.float32(rng.standard_normal((6, 20))), np.float32(rng.standard_normal((9, 20)))
    expected = np.linalg.lstsq(np.float64(dictionary.T), np.float64(signals.T))[0].T
    pair = (lambda codes: codes @ dictionary, lambda x: x @ dictionary.T)
    for atoms in (dictionary, pair):
        result = pursuit.lasso(atoms, signals, 0)
        assert result.converged.all()
        np.testing.assert_allclose(result.codes, expected, atol=1e-5)


SCALES = [1e19, 1e20, 1e-18, 1e-20]


@pytest.mark.beyond
@pytest.mark.parametrize("scale", SCALES)
def test_codes_scale_with_the_signal(scale, rng):
    scale = np.float32(scale)
    dictionary, signals = np.float32(rng.standard_normal((20, 10))), np.float32(rng.standard_normal((5, 10)))
    expected = pursuit.lasso(dictionary, signals, 1.0)
    assert expected.converged.all()
    by_signal = pursuit.lasso(dictionary, scale * signals, scale)
    np.testing.assert_allclose(by_signal.codes / scale, expected.codes, atol=2e-5)
    held = (by_signal.objective >= np.finfo(np.float32).tiny) & np.isfinite(by_signal.objective)
    np.testing.assert_array_equal(by_signal.converged, held)
    by_atoms = pursuit.lasso(scale * dictionary, signals, scale)
    assert by_atoms.converged.all()
    np.testing.assert_allclose(by_atoms.codes * scale, expected.codes, atol=2e-5)
    slope = jax.grad(lambda x: pursuit.lasso(dictionary, x, scale).codes.sum())(scale * signals)
    usual = jax.grad(lambda x: pursuit.lasso(dictionary, x, 1.0).codes.sum())(signals)
    np.testing.assert_allclose(slope, usual, atol=1e-4)
    # Beside the atoms and signals, the penalty is nothing, or it is all.
    by_both = pursuit.lasso(scale * dictionary, scale * signals, np.float32(1.0))
    assert by_both.converged.all() == (scale < 1)
    assert not (scale < 1 and by_both.codes.any())
