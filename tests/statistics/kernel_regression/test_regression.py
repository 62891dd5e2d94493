"""Kernel ridge regression, its averages and interpolants against scikit-learn and dense linear algebra."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from scipy.spatial.distance import cdist
from sklearn.kernel_ridge import KernelRidge

from jaxtheory.statistics import kernel_regression

FIT = kernel_regression.fit


def problem(rng, n=40):
    return rng.standard_normal((n, 3)), rng.standard_normal((n, 2)), rng.standard_normal((4, 5, 3))


def polynomial(x, y):
    return (1 + x @ y.T) ** 2


def indefinite(x, y):
    return jnp.tanh(x @ y.T - 2)


def test_kernels_are_functions_of_the_distances(rng, x64):
    x, y, _ = problem(rng)
    x = np.concatenate([x, y[:2, [0, 1, 1]], x[:1]]) + 100
    apart = cdist(x, x)
    gaussian, laplacian = kernel_regression.gaussian(1.3)(x, x), kernel_regression.laplacian(1.3)(x, x)
    np.testing.assert_allclose(gaussian, np.exp(-(apart**2) / (2 * 1.3**2)), atol=1e-13)
    np.testing.assert_allclose(laplacian, np.exp(-apart / 1.3), atol=1e-13)
    np.testing.assert_array_equal(np.diag(laplacian), 1)
    assert laplacian[0, -1] == 1


@pytest.mark.parametrize("outputs", [pytest.param((), marks=pytest.mark.beyond), (2,)])
def test_it_is_scikit_learns_kernel_ridge(rng, x64, outputs):
    x, y, queries = problem(rng)
    y = y if outputs else y[:, 0]
    peer = KernelRidge(alpha=40 * 0.01, kernel="rbf", gamma=1 / (2 * 1.3**2)).fit(x, y)
    model = FIT(kernel_regression.gaussian(1.3), x, y, 0.01)
    np.testing.assert_allclose(model.coefficients, peer.dual_coef_, rtol=1e-11, atol=1e-12)
    expected = peer.predict(queries.reshape(-1, 3)).reshape(4, 5, *outputs)
    np.testing.assert_allclose(kernel_regression.predict(model, queries), expected, rtol=1e-11, atol=1e-12)
    assert model.solved
    assert model.residual < 1e-13


@pytest.mark.beyond
def test_any_function_is_a_kernel(rng, x64):
    x, y, queries = problem(rng)
    peer = KernelRidge(alpha=0.4, kernel="poly", degree=2, gamma=1, coef0=1).fit(x, y)
    model = FIT(polynomial, x, y, 0.01)
    np.testing.assert_allclose(
        kernel_regression.predict(model, queries[0]), peer.predict(queries[0]), rtol=1e-9, atol=1e-10
    )


@pytest.mark.beyond
def test_a_block_more_of_queries_changes_nothing(rng, monkeypatch):
    from jaxtheory.statistics.kernel_regression import models

    x, y, _ = problem(rng, 37)
    model = FIT(kernel_regression.gaussian(1.3), x, y, 0.01)
    monkeypatch.setattr(models, "BLOCK", 16)
    expected = kernel_regression.gaussian(1.3)(x, x) @ model.coefficients
    np.testing.assert_allclose(kernel_regression.predict(model, x), expected, rtol=1e-4, atol=1e-5)


def test_the_average_is_that_of_the_parts(rng, x64):
    x, y, queries = problem(rng, 23)
    kernel = kernel_regression.laplacian(1.3)
    model = kernel_regression.distributed(kernel, x, y, 0.01, 5)
    ends = [0, 4, 9, 13, 18, 23]
    alone = [
        kernel_regression.predict(FIT(kernel, x[one:other], y[one:other], 0.01), queries)
        for one, other in pairwise(ends)
    ]
    np.testing.assert_allclose(kernel_regression.predict(model, queries), np.mean(alone, 0), rtol=1e-11)
    whole = kernel_regression.distributed(kernel, x, y, 0.01, 1)
    np.testing.assert_allclose(whole.coefficients, FIT(kernel, x, y, 0.01).coefficients, rtol=1e-11)


@pytest.mark.beyond
def test_eight_devices_average_as_one(rng):
    x, y, _ = problem(rng, 35)
    mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("rows", "columns"))
    fit = partial(kernel_regression.distributed, kernel_regression.gaussian(1.0), x, y, 0.01)
    one, eight = fit(16).coefficients, fit(16, mesh=mesh).coefficients
    np.testing.assert_allclose(one, eight, atol=1e-6 * np.abs(one).max())


def test_the_interpolant_takes_the_values_at_the_least_norm(rng, x64):
    x, y, _ = problem(rng)
    kernel = kernel_regression.laplacian(2.0)
    model = kernel_regression.interpolate(kernel, x, y)
    np.testing.assert_allclose(kernel_regression.predict(model, x), y, atol=1e-12)
    np.testing.assert_allclose(model.coefficients, np.linalg.solve(kernel(x, x), y), rtol=1e-10)


def test_of_a_singular_kernel_it_is_that_of_the_pseudoinverse(rng, x64):
    x, y, _ = problem(rng)
    x = np.concatenate([x, x[:3]])
    y = np.concatenate([y, y[3:6]])
    kernel = kernel_regression.gaussian(1.0)
    model = kernel_regression.interpolate(kernel, x, y)
    expected = np.linalg.pinv(kernel(x, x), rcond=1e-12, hermitian=True) @ y
    np.testing.assert_allclose(model.coefficients, expected, rtol=1e-7, atol=1e-9)
    # Where two examples are equal, the best value is in the middle.
    np.testing.assert_allclose(kernel_regression.predict(model, x[:3]), (y[:3] + y[40:]) / 2, atol=1e-9)
    assert model.residual == pytest.approx(np.abs(y[:3] - y[40:]).max() / 2 / np.abs(y).max())
    assert model.solved


def test_averages_with_the_hilbert_kernel(rng, x64):
    x, y, queries = problem(rng)
    weights = cdist(queries.reshape(-1, 3), x) ** -3.0
    expected = (weights @ y / weights.sum(1, keepdims=True)).reshape(4, 5, 2)
    np.testing.assert_allclose(kernel_regression.nadaraya_watson(x, y, queries, 3), expected, rtol=1e-12)
    np.testing.assert_array_equal(kernel_regression.nadaraya_watson(x, y, x, 0.5), y)
    doubled = kernel_regression.nadaraya_watson(np.tile(x, (2, 1)), np.concatenate([y, -y]), x, 0.5)
    np.testing.assert_allclose(doubled, 0, atol=1e-15)


@pytest.mark.beyond
def test_a_large_exponent_is_the_nearest_neighbor(rng):
    x, y, queries = (part.astype(np.float32) for part in problem(rng))
    nearest = cdist(queries.reshape(-1, 3), x).argmin(1)
    found = kernel_regression.nadaraya_watson(x, y, queries.reshape(-1, 3), 1e5)
    np.testing.assert_allclose(found, y[nearest], atol=1e-4)


@pytest.mark.beyond
def test_fits_map_over_outputs_and_penalties(rng, x64):
    x, y, _ = problem(rng)
    kernel, penalties = kernel_regression.gaussian(1.3), np.array([0.01, 0.1])
    mapped = jax.vmap(lambda y, penalty: FIT(kernel, x, y, penalty).coefficients)(y.T, penalties)
    for column, penalty, found in zip(y.T, penalties, mapped):
        np.testing.assert_allclose(found, FIT(kernel, x, column, penalty).coefficients, rtol=1e-9)


@pytest.mark.beyond
def test_under_jit_an_indefinite_kernel_is_a_flag(rng, x64):
    x, y, _ = problem(rng)
    assert not jax.jit(partial(FIT, indefinite))(x, y, 1e-3).solved
    # The penalty makes these equations positive definite: the kernel's own eigenvalues are looked at.
    assert not jax.jit(partial(FIT, indefinite))(x, y, 1e3).solved
    assert not jax.jit(partial(kernel_regression.interpolate, indefinite))(x, y).solved
    assert not jax.jit(lambda x, y: kernel_regression.distributed(indefinite, x, y, 1e-3, 2))(x, y).solved


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize("penalty", [1e-3, pytest.param(1e3, marks=pytest.mark.beyond)])
def test_the_negative_eigenvalue_is_named(rng, x64, penalty):
    x, y, _ = problem(rng)
    smallest = np.linalg.eigvalsh(np.tanh(x @ x.T - 2))[0]
    message = rf"^kernel has the eigenvalue {smallest:.3g} on the examples: take a positive semidefinite ke"
    for regress in (
        lambda: FIT(indefinite, x, y, penalty),
        lambda: kernel_regression.distributed(indefinite, x, y, penalty, 2),
        lambda: kernel_regression.interpolate(indefinite, x, y),
    ):
        with pytest.raises(ValueError, match=message):
            regress()


X, Y = np.zeros((4, 3), np.float32), np.zeros(4, np.float32)
GAUSSIAN = kernel_regression.gaussian(1.0)


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: FIT(GAUSSIAN, X, Y, 0),
            ValueError,
            r"^penalty is 0, and the kernel's smallest eigenvalue on",
        ),
        (lambda: FIT(GAUSSIAN, X, Y, -1), ValueError, r"^penalty is -1\.0: take a number of 0 or more$"),
        (
            lambda: FIT(GAUSSIAN, X, Y[:3], 1),
            ValueError,
            r"^y has the shape \(3,\): take \(4,\), or \(4, out",
        ),
        (
            lambda: FIT(GAUSSIAN, X[:0], Y[:0], 1),
            ValueError,
            r"^x has the shape \(0, 3\): take at least one e",
        ),
        (lambda: FIT(GAUSSIAN, X[0], Y, 1), ValueError, r"^x has the shape \(3,\): take \(n, features\) for"),
        (
            lambda: FIT("rbf", X, Y, 1),
            TypeError,
            r"^kernel is a str: take a function of two matrices of exam",
        ),
        (
            lambda: FIT(lambda x, _: x, X, Y, 1),
            ValueError,
            r"^kernel returned the shape \(4, 3\) for 4 and 4 ",
        ),
        (
            lambda: kernel_regression.distributed(GAUSSIAN, X, Y, 1, 5),
            ValueError,
            r"^parts is 5, more than the 4 examples: take a whole number from 1 to 4$",
        ),
        (
            lambda: kernel_regression.distributed(GAUSSIAN, X, Y, 1, 0),
            ValueError,
            r"^parts is 0: take a whole number at least 1$",
        ),
        (
            lambda: kernel_regression.distributed(GAUSSIAN, X, Y, 1, 4, mesh=Mesh(jax.devices(), "parts")),
            ValueError,
            r"^parts is 4: take a multiple of the 8 devices of the mesh$",
        ),
        (
            lambda: kernel_regression.predict(X, X),
            TypeError,
            r"^model is a ndarray: take a model, from kerne",
        ),
        (
            lambda: kernel_regression.predict(FIT(GAUSSIAN, X, Y, 1), X[:, :2]),
            ValueError,
            r"^queries has the shape \(4, 2\): take \(\.\.\., 3\) for",
        ),
        (
            lambda: kernel_regression.nadaraya_watson(X, Y, X, 0),
            ValueError,
            r"^exponent is 0\.0: take a positive number$",
        ),
        (lambda: kernel_regression.gaussian(0.0), ValueError, r"^bandwidth is 0\.0: take a positive number$"),
        (lambda: kernel_regression.laplacian(1j), TypeError, r"^bandwidth is complex"),
        (
            lambda: GAUSSIAN(X, X[:, :2]),
            ValueError,
            r"^y has the shape \(4, 2\): take \(m, 3\) for \(m, feat",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
