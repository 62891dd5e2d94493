"""Problems at the ends of float32's range: codes scale with signals and atoms, or the flag is false."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse import convolutional, pursuit
from tests.sparse.pursuit.problems import GREEDY

SCALES = (1e38, 1e30, 1.0, 1e-30, 1e-37, 1e-40, 1e-44)
"""Of atoms as of signals; the smallest normal number is 1.2e-38."""
SOLVERS = {
    name: lambda D, X, _, function=function: function(np.float32(D), np.float32(X))
    for name, function in GREEDY.items()
} | {
    "lasso": lambda D, X, penalty: pursuit.lasso(np.float32(D), np.float32(X), np.float32(penalty)),
    "basis": lambda D, X, _: pursuit.basis_pursuit(np.float32(D), np.float32(X)),
    "convolutional": lambda D, X, penalty: convolutional.lasso(
        np.float32(D)[:3, :, None].T.swapaxes(1, 2).reshape(8, 1, 3)[:4],
        np.float32(X)[..., None],
        np.float32(penalty),
        tolerance=1e-4,
    ),
}


def flags(found):
    return np.asarray(found.in_range if hasattr(found, "in_range") else found.converged)


@pytest.mark.parametrize(
    "name",
    ["orthogonal", *(pytest.param(one, marks=pytest.mark.beyond) for one in SOLVERS if one != "orthogonal")],
)
def test_codes_scale_or_the_flag_is_false(name, rng):
    solver = SOLVERS[name]
    # Entries of one size: all of them are in the dtype's range, or none.
    D, X = (rng.choice([-1, 1], shape) * rng.uniform(1, 2, shape) for shape in ((12, 8), (3, 8)))
    expected = solver(D, X, 0.5)
    assert flags(expected).all()
    right = set()
    for of_atoms in SCALES:
        for of_signals in SCALES:
            if not 1e-38 < of_atoms * of_signals < 1e38:
                continue  # the penalty itself is out of range
            found = solver(of_atoms * D, of_signals * X, 0.5 * of_atoms * of_signals)
            codes = np.float64(expected.codes) * (of_signals / of_atoms)
            sizes = np.abs(codes).reshape(3, -1).max(1)
            error = np.abs(np.float64(found.codes) - codes).reshape(3, -1).max(1) / sizes
            assert (error[flags(found)] < 1e-3).all(), (of_atoms, of_signals)
            if flags(found).all():
                right.add((of_atoms, of_signals))
            if min(of_atoms, of_signals) < 1e-38:
                assert not flags(found).any(), (of_atoms, of_signals)
    # The lasso's objective is a square of the signal.
    ordinary = {(1.0, 1.0), (1e30, 1.0), (1e-30, 1.0)}
    assert right >= ordinary | ({(1.0, 1e30), (1.0, 1e-30)} if name in (*GREEDY, "basis") else set())


@pytest.mark.parametrize("name", [*GREEDY, pytest.param("basis", marks=pytest.mark.beyond)])
def test_a_dictionary_and_signals_near_the_largest_number(name, rng):
    solver = SOLVERS[name]
    D, X = (rng.choice([-1, 1], shape) * rng.uniform(1, 2, shape) for shape in ((12, 8), (3, 8)))
    expected, found = solver(D, X, None), solver(1e38 * D, 1e38 * X, None)
    assert flags(found).all()
    np.testing.assert_allclose(found.codes, expected.codes, atol=1e-4)
    # The codes are no normal numbers.
    assert not flags(solver(1e38 * D, 0.01 * X, None)).any()


@pytest.mark.parametrize("name", GREEDY)
def test_each_atom_of_a_greedy_pursuit_has_its_own_size(name, rng):
    D, X = np.float32(rng.standard_normal((12, 8))), np.float32(rng.standard_normal((3, 8)))
    sizes = np.float32(10.0) ** rng.integers(-25, 25, (12, 1))
    expected, found = GREEDY[name](D, X), GREEDY[name](sizes * D, X)
    np.testing.assert_array_equal(found.support, expected.support)
    np.testing.assert_allclose(np.float64(found.codes) * sizes[:, 0], expected.codes, rtol=1e-4, atol=1e-5)
    assert found.in_range.all()
    sizes[found.support[0, 0]] = 1e-40
    assert not GREEDY[name](sizes * D, X).in_range.any()


def test_a_greedy_flag_tells_of_the_signal(rng):
    D, X = np.float32(rng.standard_normal((6, 4))), np.float32(rng.standard_normal((5, 4)))
    X[1], X[2], X[3], X[4] = np.nan, 1e-40, 0, 0
    X[4, :2] = 1, 1e-40
    found = pursuit.thresholding(D, X, sparsity=2)
    # Zeros have their codes, and what is lost beside a 1 is less than rounding.
    assert found.in_range.tolist() == [True, False, False, True, True]


@pytest.mark.beyond
def test_a_pair_of_functions_tells_of_the_signal(rng):
    D, X = np.float32(rng.standard_normal((6, 4))), np.float32(rng.standard_normal((3, 4)))
    X[1], X[2] = 1e-40, 0
    pair = (lambda codes: codes @ jnp.asarray(D), lambda signals: signals @ jnp.asarray(D).T)
    found = pursuit.thresholding(pair, X, sparsity=2)
    assert found.in_range.tolist() == [True, False, True]
