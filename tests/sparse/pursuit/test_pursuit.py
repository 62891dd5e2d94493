"""Pursuits against scikit-learn, linear programming, optimality conditions and finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.optimize import linprog
from sklearn.decomposition import sparse_encode
from sklearn.linear_model import lars_path, orthogonal_mp

from jaxtheory.sparse import pursuit


def unit(matrix):
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


@pytest.fixture
def problem(rng):
    """Thirty atoms of twenty features, and signals of a few atoms with noise."""
    dictionary = unit(rng.standard_normal((30, 20)))
    codes = rng.standard_normal((50, 30)) * (rng.uniform(size=(50, 30)) < 0.15)
    return dictionary, codes @ dictionary + 0.05 * rng.standard_normal((50, 20))


def objective(dictionary, signals, codes, penalty):
    dictionary, signals, codes = (np.asarray(array, np.float64) for array in (dictionary, signals, codes))
    return ((signals - codes @ dictionary) ** 2).sum(-1) / 2 + (penalty * np.abs(codes)).sum(-1)


def assert_stationary(dictionary, signals, codes, penalty, *, nonnegative=False, tolerance=1e-6):
    """The conditions of Karush, Kuhn and Tucker."""
    codes = np.asarray(codes)
    c = (signals - codes @ dictionary) @ dictionary.T
    excess = (c if nonnegative else np.abs(c)) - penalty
    assert excess.max() < tolerance
    on = codes != 0
    assert 0 < on.sum() < on.size
    np.testing.assert_allclose(c[on], (np.sign(codes) * penalty)[on], atol=tolerance)
    assert not nonnegative or codes.min() == 0


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


@pytest.mark.parametrize("shape", [(30,), (50, 1), (50, 30)])
def test_penalties_per_atom_and_per_signal(problem, shape, rng, x64):
    dictionary, signals = problem
    penalty = rng.uniform(0.05, 0.4, shape)
    result = pursuit.lasso(dictionary, signals, penalty, tolerance=1e-13)
    assert result.converged.all()
    assert_stationary(dictionary, signals, result.codes, penalty)


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


def test_basis_pursuit_against_linear_programming(rng, x64):
    dictionary = unit(rng.standard_normal((40, 15)))
    signals = rng.standard_normal((12, 15))
    result = pursuit.basis_pursuit(dictionary, signals, tolerance=1e-8)
    assert result.converged.all()
    np.testing.assert_allclose(result.codes @ dictionary, signals, atol=1e-7)
    for signal, codes, gap in zip(signals, result.codes, result.gap):
        program = linprog(np.ones(80), A_eq=np.hstack([dictionary.T, -dictionary.T]), b_eq=signal)
        assert program.status == 0
        np.testing.assert_allclose(np.abs(codes).sum(), program.fun, rtol=1e-7)
        np.testing.assert_allclose(codes, program.x[:40] - program.x[40:], atol=1e-5)
        assert abs(gap) <= 1e-8 * program.fun


def test_basis_pursuit_says_where_no_codes_meet_the_signal(rng):
    dictionary = np.float32(unit(rng.standard_normal((8, 5))))
    dictionary[:, 4] = 0
    signals = np.float32(rng.standard_normal((4, 5)))
    signals[0, 4] = 0
    signals[2] = np.nan
    result = pursuit.basis_pursuit(dictionary, signals)
    assert result.converged.tolist() == [True, False, False, False]
    np.testing.assert_allclose(result.codes[0] @ dictionary, signals[0], atol=1e-4)
    assert np.isnan(result.codes[2]).all()
    assert np.isnan(result.gap[2])


@pytest.mark.parametrize("sparsity", [1, 3, 8])
def test_orthogonal_matching_pursuit_against_scikit_learn(problem, sparsity, x64):
    dictionary, signals = problem
    result = pursuit.orthogonal_matching_pursuit(dictionary, signals, sparsity=sparsity)
    expected = orthogonal_mp(dictionary.T, signals.T, n_nonzero_coefs=sparsity).T
    np.testing.assert_allclose(result.codes, expected, atol=1e-10)
    left = np.linalg.norm(signals - expected @ dictionary, axis=1)
    np.testing.assert_allclose(result.residual, left, atol=1e-10)
    assert (np.sort(result.support, axis=1) == [np.flatnonzero(codes) for codes in expected]).all()
    assert (result.steps == sparsity).all()


def test_orthogonal_matching_pursuit_down_to_a_residual(problem, x64):
    dictionary, signals = problem
    result = pursuit.orthogonal_matching_pursuit(dictionary, signals, sparsity=20, tolerance=0.3)
    # Its tolerance is of the squared norm.
    expected = orthogonal_mp(dictionary.T, signals.T, tol=0.09).T
    np.testing.assert_allclose(result.codes, expected, atol=1e-10)
    assert (result.residual <= 0.3).all()
    np.testing.assert_array_equal(result.steps, np.count_nonzero(expected, axis=1))
    np.testing.assert_array_equal((result.support >= 0).sum(1), result.steps)
    assert len(set(result.steps.tolist())) > 3


def test_atoms_need_not_have_length_one(problem, rng, x64):
    dictionary, signals = problem
    lengths = rng.uniform(0.2, 5, 30)
    for function in (
        partial(pursuit.orthogonal_matching_pursuit, sparsity=5),
        partial(pursuit.thresholding, sparsity=5),
        partial(pursuit.matching_pursuit, steps=7),
    ):
        expected = function(dictionary, signals)
        found = function(dictionary * lengths[:, None], signals)
        np.testing.assert_array_equal(found.support, expected.support)
        np.testing.assert_allclose(found.codes * lengths, expected.codes, atol=1e-10)


def test_thresholding_is_least_squares_on_the_largest_correlations(problem, x64):
    dictionary, signals = problem
    result = pursuit.thresholding(dictionary, signals, sparsity=4)
    for signal, codes, support, left in zip(signals, result.codes, result.support, result.residual):
        largest = np.argsort(-np.abs(dictionary @ signal))[:4]
        np.testing.assert_array_equal(support, largest)
        values, rest, _, _ = np.linalg.lstsq(dictionary[largest].T, signal)
        expected = np.zeros(30)
        expected[largest] = values
        np.testing.assert_allclose(codes, expected, atol=1e-10)
        np.testing.assert_allclose(left**2, rest[0], atol=1e-10)


def test_matching_pursuit_step_by_step(problem, x64):
    dictionary, signals = problem
    result = pursuit.matching_pursuit(dictionary, signals, steps=40)
    for signal, codes, support, left in zip(signals, result.codes, result.support, result.residual):
        expected, rest = np.zeros(30), signal.copy()
        for atom in support:
            c = dictionary @ rest
            assert atom == np.argmax(np.abs(c))
            expected[atom] += c[atom]
            rest = rest - c[atom] * dictionary[atom]
        np.testing.assert_allclose(codes, expected, atol=1e-10)
        np.testing.assert_allclose(left, np.linalg.norm(rest), atol=1e-10)


def test_greedy_codes_have_the_derivative_of_their_support(problem, rng, x64):
    dictionary, signals = (jnp.asarray(array) for array in problem)
    weights = jnp.asarray(rng.standard_normal((50, 30)))
    direction = [jnp.asarray(rng.standard_normal(array.shape)) for array in (dictionary, signals)]
    for function in (
        partial(pursuit.orthogonal_matching_pursuit, sparsity=5),
        partial(pursuit.thresholding, sparsity=5),
        partial(pursuit.matching_pursuit, steps=7),
    ):

        def scalar(step, function=function):
            moved = (array + step * d for array, d in zip((dictionary, signals), direction))
            return jnp.sum(weights * function(*moved).codes)

        expected = (scalar(1e-6) - scalar(-1e-6)) / 2e-6
        np.testing.assert_allclose(jax.grad(scalar)(0.0), expected, rtol=1e-6)


GREEDY = {
    "thresholding": partial(pursuit.thresholding, sparsity=3),
    "orthogonal": partial(pursuit.orthogonal_matching_pursuit, sparsity=3),
    "matching": partial(pursuit.matching_pursuit, steps=3),
}
PURSUITS = GREEDY | {
    "lasso": lambda dictionary, signals: pursuit.lasso(dictionary, signals, 0.1, tolerance=1e-5),
    "path": lambda dictionary, signals: jax.tree.map(
        lambda leaf: leaf[1],
        pursuit.lasso_path(dictionary, signals, np.float32([0.3, 0.1]), tolerance=1e-5),
    ),
    "basis": partial(pursuit.basis_pursuit, tolerance=1e-3),
}


@pytest.mark.parametrize("name", PURSUITS)
def test_a_signal_of_nan_leaves_its_neighbours_alone(name, problem):
    dictionary, signals = (np.float32(array) for array in problem)
    clean = PURSUITS[name](dictionary, signals)
    broken = signals.copy()
    broken[7, 3] = np.nan
    broken[9, 0] = np.inf
    found = PURSUITS[name](dictionary, broken)
    others = np.delete(np.arange(50), [7, 9])
    np.testing.assert_allclose(found.codes[others], clean.codes[others], atol=1e-5)
    assert np.isnan(found.codes[np.array([7, 9])]).all()
    if name in GREEDY:
        assert np.isnan(found.residual[7])
        assert (found.support[7] == -1).all()
    else:
        assert np.isnan(found.gap[7])
        np.testing.assert_array_equal(found.converged, np.isin(np.arange(50), others))


def test_gradients_beside_a_signal_of_nan(problem, x64):
    dictionary, signals = problem
    broken = signals.copy()
    broken[7, 3] = np.nan

    def total(dictionary, signals):
        codes = pursuit.lasso(dictionary, signals, 0.1, tolerance=1e-12).codes
        return jnp.sum(jnp.where(jnp.isnan(codes), 0, codes) ** 2)

    found = jax.grad(total)(jnp.asarray(dictionary), broken)
    expected = jax.grad(total)(jnp.asarray(dictionary), np.delete(signals, 7, axis=0))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", PURSUITS)
def test_zero_atoms_are_never_used_and_zero_signals_have_no_codes(name, problem):
    dictionary, signals = (np.float32(array) for array in problem)
    dictionary[4] = 0
    signals[2] = 0
    result = PURSUITS[name](dictionary, signals)
    codes = np.asarray(result.codes)
    assert np.isfinite(codes).all()
    assert (codes[:, 4] == 0).all()
    assert (codes[2] == 0).all()
    assert (np.delete(codes, 2, axis=0) != 0).any(1).all()
    assert result.steps[2] == 0
    if name not in GREEDY:
        assert result.converged.all()


def test_atoms_that_depend_on_others_are_left_out(x64):
    dictionary = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    result = pursuit.orthogonal_matching_pursuit(dictionary, np.array([[2.0, 1, 1]]), sparsity=3)
    assert result.steps.tolist() == [2]
    assert result.support[0, 2] == -1
    np.testing.assert_allclose(result.codes @ dictionary, [[2, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(result.residual, [1.0])
    every = pursuit.thresholding(dictionary, np.array([2.0, 1, 1]), sparsity=3)
    assert every.steps == 2
    np.testing.assert_allclose(every.codes @ dictionary, [2, 1, 0], atol=1e-12)


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


def test_no_penalty_at_all_is_least_squares(rng):
    dictionary, signals = np.float32(rng.standard_normal((6, 20))), np.float32(rng.standard_normal((9, 20)))
    expected = np.linalg.lstsq(np.float64(dictionary.T), np.float64(signals.T))[0].T
    pair = (lambda codes: codes @ dictionary, lambda x: x @ dictionary.T)
    for atoms in (dictionary, pair):
        result = pursuit.lasso(atoms, signals, 0)
        assert result.converged.all()
        np.testing.assert_allclose(result.codes, expected, atol=1e-5)


SCALES = [1e19, 1e20, 1e-18, 1e-20]


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


@pytest.mark.parametrize("count", [5, 50])
def test_a_dictionary_of_zeros_has_codes_of_zero(count, rng):
    dictionary, signals = np.zeros((20, 10), np.float32), np.float32(rng.standard_normal((count, 10)))
    result = pursuit.lasso(dictionary, signals, 0.1)
    assert not result.codes.any()
    assert result.converged.all()
    np.testing.assert_allclose(result.objective, (signals**2).sum(1) / 2, rtol=1e-5)
    slope = jax.grad(lambda d: pursuit.lasso(d, signals, 0.1).codes.sum())(dictionary)
    np.testing.assert_array_equal(slope, 0)
    exactly = pursuit.basis_pursuit(dictionary, signals)
    assert not exactly.codes.any()
    assert not exactly.converged.any()
    for function in GREEDY.values():
        result = function(dictionary, signals)
        assert not result.codes.any()
        assert (result.steps == 0).all()
        np.testing.assert_allclose(result.residual, np.linalg.norm(signals, axis=1), rtol=1e-5)


@pytest.mark.parametrize("leading", [(0,), (2, 0)])
@pytest.mark.parametrize("name", PURSUITS)
def test_no_signals_have_no_codes(name, leading):
    dictionary = np.eye(5, 4, dtype=np.float32)
    pair = (lambda codes: codes @ dictionary, lambda x: x @ dictionary.T)
    for atoms in (dictionary, pair):
        result = PURSUITS[name](atoms, np.zeros((*leading, 4), np.float32))
        assert result.codes.shape == (*leading, 5)
        assert result.steps.shape == leading
        if name in GREEDY:
            assert result.support.shape == (*leading, 3)


@pytest.mark.parametrize("name", PURSUITS)
def test_forms_of_input_that_numpy_converts(name, own_errors):
    dictionary = np.float32([[3, 0, 1], [0, 2, 1], [1, 1, 1], [1, -2, 3]])
    signals = np.float32([301, 7, -5])
    expected = PURSUITS[name](dictionary, signals)

    class Foreign:
        """A tensor of another library."""

        def __array__(self, dtype=None, copy=None):
            return signals

    pair = (lambda codes: codes @ dictionary, lambda x: x @ dictionary.T)
    for arguments in (
        (dictionary.astype(">f4"), signals.astype(">f4")),
        (dictionary.tolist(), signals.tolist()),
        (dictionary.astype(int), signals.astype(int)),
        (dictionary.astype(">i2"), Foreign()),
        (pair, signals.astype(int)),
    ):
        found = PURSUITS[name](*arguments)
        assert found.codes.dtype == np.float32
        np.testing.assert_allclose(found.codes, expected.codes, atol=2e-4 * 110)


def test_integers_are_not_solved_in_half_precision():
    dictionary, signal = np.array([[3, 0, 1], [0, 2, 1], [1, 1, 1], [1, -2, 3]]), np.array([301, 7, -5])
    result = pursuit.lasso(dictionary, signal, 0.5)
    assert result.codes.dtype == np.float32
    assert result.converged
    with jax.enable_x64(True):
        exact = pursuit.lasso(np.float64(dictionary), np.float64(signal), 0.5).codes
        assert_stationary(np.float64(dictionary), np.float64(signal), exact, 0.5)
    np.testing.assert_allclose(result.codes, exact, rtol=1e-4)


# The path of these tests has penalties in single precision, and so its result is.
@pytest.mark.parametrize("name", [name for name in PURSUITS if name != "path"])
def test_half_precision_is_computed_in_single(name, rng):
    dictionary = jnp.asarray(unit(rng.standard_normal((40, 32))), jnp.bfloat16)
    signals = jnp.asarray(rng.standard_normal((50, 32)), jnp.bfloat16)
    found = PURSUITS[name](dictionary, signals)
    expected = PURSUITS[name](dictionary.astype(jnp.float32), signals.astype(jnp.float32))
    assert found.codes.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found.codes, expected.codes.astype(jnp.bfloat16))


def test_an_exact_fit_ends_a_greedy_pursuit(rng):
    dictionary = np.float32(unit(rng.standard_normal((20, 10))))
    signal = 2 * dictionary[3] - dictionary[7]
    result = pursuit.orthogonal_matching_pursuit(dictionary, signal, sparsity=6)
    theirs = orthogonal_mp(np.float64(dictionary.T), np.float64(signal), n_nonzero_coefs=2)
    assert result.steps == 2
    assert sorted(result.support.tolist()) == [-1, -1, -1, -1, 3, 7]
    np.testing.assert_allclose(result.codes, theirs, atol=1e-5)
    many = pursuit.orthogonal_matching_pursuit(dictionary, np.stack([signal, 1e-9 * signal]), sparsity=6)
    assert many.steps.tolist() == [2, 2]
    once = pursuit.matching_pursuit(dictionary, 3 * dictionary[5], steps=6)
    assert once.steps == 1
    assert once.support.tolist() == [5, -1, -1, -1, -1, -1]


SIGNAL = np.ones(3, np.float32)
ATOMS = np.ones((4, 3), np.float32)
TAKES = r"take a number, one for each atom \(4,\), or one for each signal with a last axis of 1"
WRONG = {
    "negative penalty": (
        pursuit.lasso,
        (ATOMS, SIGNAL, -1.0),
        {},
        "penalty is -1.0: take a number of 0 or more",
    ),
    "penalty of NaN": (
        pursuit.lasso,
        (ATOMS, SIGNAL, [1, 1, np.nan, 1]),
        {},
        "penalty holds nan: take numbers of",
    ),
    "negative penalties": (
        pursuit.lasso_path,
        (ATOMS, SIGNAL, [1.0, -2.0]),
        {},
        "penalties holds -2.0: take",
    ),
    "penalty of another shape": (
        pursuit.lasso,
        (ATOMS, SIGNAL, np.ones(3)),
        {},
        rf"penalty has the shape \(3,\), which does not broadcast to that of the codes \(4,\): {TAKES}",
    ),
    "penalty of more axes": (
        pursuit.lasso,
        (ATOMS, SIGNAL, np.ones((5, 4))),
        {},
        r"penalty has the shape \(5, 4\), which does not broadcast",
    ),
    "one penalty on a path": (
        pursuit.lasso_path,
        (ATOMS, SIGNAL, 1.0),
        {},
        "penalties is one number: take an array with a first axis, or lasso for one penalty",
    ),
    "negative tolerance": (
        pursuit.lasso,
        (ATOMS, SIGNAL, 1.0),
        {"tolerance": -1e-3},
        "tolerance is -0.001: take a number of 0 or more",
    ),
    "many tolerances": (
        pursuit.basis_pursuit,
        (ATOMS, SIGNAL),
        {"tolerance": [0.1, 0.2]},
        r"tolerance has the shape \(2,\): take one number for all signals",
    ),
    "no steps": (
        pursuit.lasso,
        (ATOMS, SIGNAL, 1.0),
        {"max_steps": 0},
        "max_steps is 0: take a whole number at least 1",
    ),
    "no sparsity": (
        pursuit.thresholding,
        (ATOMS, SIGNAL),
        {"sparsity": 0},
        "sparsity is 0: take a whole number from 1 to 4",
    ),
    "more than all atoms": (
        pursuit.orthogonal_matching_pursuit,
        (ATOMS, SIGNAL),
        {"sparsity": 5},
        "sparsity is 5: take a whole number from 1 to 4",
    ),
    "no steps of matching": (
        pursuit.matching_pursuit,
        (ATOMS, SIGNAL),
        {"steps": 0},
        "steps is 0: take a whole number",
    ),
    "half a pair": (
        pursuit.lasso,
        ((np.sin,), SIGNAL, 1.0),
        {},
        r"dictionary is a tuple of 1 \(ufunc\): take a matrix \(atoms, features\) or a pair of functions",
    ),
    "a pair that does not fit": (
        pursuit.lasso,
        ((lambda z: z, lambda x: x[:2]), SIGNAL, 1.0),
        {},
        r"dictionary is a pair whose adjoint takes signals \(3,\) to \(2,\)",
    ),
    "no atoms": (
        pursuit.lasso,
        (np.ones((0, 3)), SIGNAL, 1.0),
        {},
        "dictionary has 0 atoms: take at least one",
    ),
    "no axes": (pursuit.lasso, (ATOMS, 1.0, 1.0), {}, r"signals has the shape \(\): take \(..., features\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_and_shapes_are_refused(name, own_errors):
    function, arguments, options, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        function(*arguments, **options)


@pytest.mark.parametrize("name", PURSUITS)
def test_a_dictionary_of_other_features_is_refused(name, own_errors):
    with pytest.raises(ValueError, match=r"dictionary has the shape \(4, 3\): take \(atoms, 5\)"):
        PURSUITS[name](ATOMS, np.ones((2, 5), np.float32))


KINDS = {
    "complex atoms": (pursuit.lasso, (ATOMS.astype(complex), SIGNAL, 1.0), {}, "dictionary is complex"),
    "complex signals": (pursuit.basis_pursuit, (ATOMS, SIGNAL.astype(complex)), {}, "signals is complex"),
    "complex penalty": (pursuit.lasso, (ATOMS, SIGNAL, 1j), {}, "penalty is complex"),
    "complex signals of a pair": (
        pursuit.orthogonal_matching_pursuit,
        ((lambda z: z, lambda x: x), SIGNAL.astype(complex)),
        {"sparsity": 1},
        "signals is complex",
    ),
    "a penalty in words": (
        pursuit.lasso,
        (ATOMS, SIGNAL, "a"),
        {},
        r"penalty is 'a' \(str\): take an array of numbers",
    ),
    "a tolerance in words": (
        pursuit.lasso,
        (ATOMS, SIGNAL, 1.0),
        {"tolerance": "a"},
        r"tolerance is 'a' \(str\): take an array of numbers",
    ),
    "a count of steps": (
        pursuit.lasso,
        (ATOMS, SIGNAL, 1.0),
        {"max_steps": 8.0},
        "max_steps is 8.0: take a whole number",
    ),
    "a sparsity": (
        pursuit.thresholding,
        (ATOMS, SIGNAL),
        {"sparsity": 2.0},
        "sparsity is 2.0: take a whole number",
    ),
    "a number of steps": (
        pursuit.matching_pursuit,
        (ATOMS, SIGNAL),
        {"steps": "a"},
        "steps is 'a': take a whole number",
    ),
    "an object": (
        pursuit.lasso,
        (object(), SIGNAL, 1.0),
        {},
        r"dictionary is <object .*: take an array of numbers",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_wrong_kinds_are_refused(name, own_errors):
    function, arguments, options, message = KINDS[name]
    with pytest.raises(TypeError, match=message):
        function(*arguments, **options)
