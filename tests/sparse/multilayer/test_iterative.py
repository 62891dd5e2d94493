"""ML-ISTA and ML-FISTA against the papers' steps with matrices, rates, and a quadratic program."""

import numpy as np
import pytest
import scipy.optimize
from sklearn.linear_model import Lasso

from jaxtheory.sparse import multilayer
from tests.sparse.convolutional import dense
from tests.sparse.multilayer.models import made, matrices, soft


def dense_step(chain, x, penalties, step_sizes, deepest):
    """A step of ML-ISTA, as the paper has it, with matrices."""
    current = [deepest]
    for matrix in reversed(chain):
        current.insert(0, matrix @ current[0])
    below, whole = x, 1.0
    for i, (matrix, mu, penalty) in enumerate(zip(chain, step_sizes, penalties)):
        whole *= mu
        below = soft(current[i + 1] - mu * matrix.T @ (current[i] - below), whole * penalty)
    return below


@pytest.mark.parametrize("name", ["image", "three layers"])
def test_the_steps_of_ml_ista_and_ml_fista_are_those_of_the_papers(name, x64, rng):
    filters, size, strides = made(rng, name)
    chain = matrices(filters, size, strides, "periodic")
    x = rng.standard_normal((*size, filters[0].shape[-2]))
    penalties = [0.02, 0.05, 0.03][: len(chain)]
    step_sizes = [1 / np.linalg.norm(matrix, 2) ** 2 for matrix in chain]
    z = ahead = np.zeros(chain[-1].shape[1])
    plain, t = z, 1.0
    for _ in range(4):
        plain = dense_step(chain, x.ravel(), penalties, step_sizes, plain)
        after = dense_step(chain, x.ravel(), penalties, step_sizes, ahead)
        following = (1 + np.sqrt(1 + 4 * t**2)) / 2
        ahead = after + (t - 1) / following * (after - z)
        z, t = after, following
    one = multilayer.ml_ista(filters, x, penalties, steps=4, strides=strides)
    other = multilayer.ml_fista(filters, x, penalties, steps=4, strides=strides)
    assert np.abs(plain).max() > 1e-3
    np.testing.assert_allclose(np.ravel(one.codes[-1]), plain, atol=1e-10)
    np.testing.assert_allclose(np.ravel(other.codes[-1]), z, atol=1e-10)
    current, expected = plain, penalties[-1] * np.abs(plain).sum()
    for matrix, penalty in zip(reversed(chain), [*reversed(penalties[:-1]), None]):
        current = matrix @ current
        expected += (
            np.sum((x.ravel() - current) ** 2) / 2 if penalty is None else penalty * np.abs(current).sum()
        )
    np.testing.assert_allclose(one.objective, expected, rtol=1e-10)


def test_one_step_of_size_one_from_zero_is_layered_soft_thresholding(rng):
    filters, size, strides = made(rng, "image of strides")
    filters = [np.float32(d / 8) for d in filters]
    x = np.float32(rng.standard_normal((*size, 2)))
    options = {"strides": strides}
    found = multilayer.ml_ista(filters, x, [0.2, 0.1], steps=1, step_sizes=[1.0, 1.0], **options)
    expected = multilayer.layered_thresholding(filters, x, [0.2, 0.1], **options)
    for one, other in zip(found.codes, expected):
        assert np.any(other)
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_one_layer_comes_to_the_minimum_as_fast_as_the_rates_say(x64, rng):
    filters, x = rng.standard_normal((5, 1, 3)), rng.standard_normal((16, 1))
    matrix = dense.dictionary(filters, (16,), "periodic")
    model = Lasso(0.5 / 16, fit_intercept=False, tol=1e-14, max_iter=500_000)
    best = model.fit(matrix, x.ravel()).coef_
    least = np.sum((x.ravel() - matrix @ best) ** 2) / 2 + 0.5 * np.abs(best).sum()
    scale = np.linalg.norm(matrix, 2) ** 2 * np.sum(best**2)
    values = []
    for steps in (10, 1000):
        plain = multilayer.ml_ista([filters], x, [0.5], steps=steps)
        fast = multilayer.ml_fista([filters], x, [0.5], steps=steps)
        assert -1e-12 <= plain.objective - least <= scale / (2 * steps)
        assert -1e-12 <= fast.objective - least <= 2 * scale / (steps + 1) ** 2
        values.append(float(plain.objective))
    assert values[1] < values[0]
    np.testing.assert_allclose(values[-1], least, rtol=1e-6)
    np.testing.assert_allclose(fast.objective, least, rtol=1e-6)
    assert fast.change < 1e-4


def multilayer_minimum(chain, x, penalties):
    """The least objective of two layers: a quadratic program in codes and bounds of absolute values."""
    (first, second), (_, atoms) = chain, chain[-1].shape
    hidden = second.shape[0]
    whole, (one, other) = first @ second, penalties

    def value(v):
        fit = np.sum((x - whole @ v[:atoms]) ** 2) / 2
        return fit + one * v[atoms:-atoms].sum() + other * v[-atoms:].sum()

    def slope(v):
        return np.concatenate(
            [whole.T @ (whole @ v[:atoms] - x), np.full(hidden, one), np.full(atoms, other)]
        )

    bounds, free = np.eye(hidden + atoms), np.concatenate([second, np.eye(atoms)])
    constraints = np.block([[-free, bounds], [free, bounds]])
    found = scipy.optimize.minimize(
        value, np.concatenate([np.zeros(atoms), np.ones(hidden + atoms)]), jac=slope, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda v: constraints @ v, "jac": lambda _: constraints},
        options={"maxiter": 1000, "ftol": 1e-13},
    )  # fmt: skip
    assert found.success
    return found.fun


def test_fixed_points_come_near_the_minimum_as_steps_shrink(x64, rng):
    filters = [rng.standard_normal((3, 1, 2)), rng.standard_normal((3, 2, 2))]
    x, penalties = rng.standard_normal((6, 1)), (0.3, 0.4)
    chain = matrices(filters, (6,), (1, 1), "periodic")
    least = multilayer_minimum(chain, x.ravel(), penalties)
    whole = [1 / np.linalg.norm(matrix, 2) ** 2 for matrix in chain]
    excess = []
    for shrunken in (1, 8, 32):
        found = multilayer.ml_ista(
            filters, x, penalties, steps=12_800, step_sizes=[whole[0] / shrunken, whole[1]]
        )
        assert found.change < 1e-7
        again = dense_step(
            chain, x.ravel(), penalties, [whole[0] / shrunken, whole[1]], np.ravel(found.codes[1])
        )
        np.testing.assert_allclose(again, np.ravel(found.codes[1]), atol=1e-6)
        excess.append(float(found.objective) / least - 1)
    assert min(excess) > -1e-6
    assert excess[0] > 2 * excess[1] > 4 * excess[2]
    assert excess[2] < 5e-3


def test_layers_of_zeros_have_codes_of_zero_and_empty_batches_are_empty(rng):
    filters = [np.float32(rng.standard_normal((3, 1, 2))), np.zeros((3, 2, 3), np.float32)]
    x = np.float32(rng.standard_normal((2, 8, 1)))
    for found in (
        multilayer.ml_fista(filters, x, [0.1, 0.1], steps=3),
        multilayer.ml_ista(filters[:1], np.zeros_like(x), [0.1], steps=3),
    ):
        assert np.isfinite(found.codes[0]).all()
        np.testing.assert_array_equal(found.codes[-1], 0)
    np.testing.assert_allclose(
        multilayer.ml_fista(filters, x, [0.1, 0.1], steps=3).objective, np.sum(x**2, (1, 2)) / 2, rtol=1e-5
    )
    empty = multilayer.ml_ista(filters, x[:0], [0.1, 0.1], steps=3)
    assert [codes.shape for codes in empty.codes] == [(0, 8, 2), (0, 8, 3)]
    assert empty.objective.shape == (0,)
