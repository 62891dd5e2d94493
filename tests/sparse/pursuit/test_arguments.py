"""What pursuits make of unusual arguments: NaN, zeros, nothing, other forms, and wrong ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse import pursuit
from tests.sparse.pursuit.problems import GREEDY, PURSUITS, assert_stationary, unit


@pytest.mark.beyond
@pytest.mark.parametrize("name", PURSUITS)
def test_a_signal_of_nan_leaves_its_neighbors_alone(name, problem):
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


@pytest.mark.beyond
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


@pytest.mark.beyond
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


@pytest.mark.beyond
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


@pytest.mark.beyond
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


@pytest.mark.beyond
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
@pytest.mark.beyond
@pytest.mark.parametrize("name", [name for name in PURSUITS if name != "path"])
def test_half_precision_is_computed_in_single(name, rng):
    dictionary = jnp.asarray(unit(rng.standard_normal((40, 32))), jnp.bfloat16)
    signals = jnp.asarray(rng.standard_normal((50, 32)), jnp.bfloat16)
    found = PURSUITS[name](dictionary, signals)
    expected = PURSUITS[name](dictionary.astype(jnp.float32), signals.astype(jnp.float32))
    assert found.codes.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found.codes, expected.codes.astype(jnp.bfloat16))


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
