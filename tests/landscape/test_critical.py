"""Searches for critical points against closed forms, dense linear algebra and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg
from jax.flatten_util import ravel_pytree

from jaxtheory.landscape import critical
from jaxtheory.landscape.curvature import Matrix


def wells(w, _):
    """A double well in each coordinate: critical where each is -1, 0 or 1; the zeros are the index."""
    return jnp.sum((w**2 - 1) ** 2) / 4


def rosenbrock(w, _):
    return (1 - w["x"]) ** 2 + 100 * (w["y"] - w["x"] ** 2) ** 2


def network(params, batch):
    x, y = batch
    hidden = jnp.tanh(x @ params["in"] + params["bias"])
    return jnp.mean((hidden @ params["out"] - y) ** 2) / 2


@pytest.fixture
def fit(rng):
    """Parameters of a small network, and what it is to fit."""
    params = {
        "in": jnp.asarray(rng.standard_normal((3, 2))),
        "bias": jnp.asarray(rng.standard_normal(2)),
        "out": jnp.asarray(rng.standard_normal(2)),
    }
    return params, (jnp.asarray(rng.standard_normal((20, 3))), jnp.asarray(rng.choice([-1.0, 1.0], 20)))


@pytest.fixture
def double():
    """Double precision, before the other fixtures draw."""
    with jax.enable_x64(True):
        yield


def of_vector(params, batch):
    """The network's loss of a vector, its gradient and its Hessian, for SciPy."""
    _, unravel = ravel_pytree(params)
    loss = jax.jit(lambda vector: network(unravel(vector), batch))
    return loss, jax.jit(jax.grad(loss)), jax.jit(jax.hessian(loss))


@pytest.mark.parametrize("search", [critical.levenberg_marquardt, critical.newton_minres])
def test_searches_find_points_of_every_index(search, rng, x64):
    starts = 1.5 * rng.standard_normal((60, 3))
    found = jax.vmap(lambda start: search(wells, start))(starts)
    ends = np.asarray(found.params)[np.asarray(found.converged)]
    assert len(ends) >= 50
    nearest = np.rint(ends)
    np.testing.assert_allclose(ends, nearest, atol=1e-10)
    zeros = (nearest == 0).sum(1)
    assert set(zeros) == {0, 1, 2, 3}
    at = np.asarray(found.converged)
    np.testing.assert_array_equal(found.index[at], zeros)
    np.testing.assert_allclose(found.loss[at], zeros / 4, atol=1e-12)
    np.testing.assert_array_equal(found.nullity[at], 0)
    assert np.max(found.residual[at]) <= np.finfo(float).eps ** 0.75


def test_a_network_has_the_gradient_and_spectrum_of_finite_differences_and_numpy(double, fit):
    params, batch = fit
    loss, gradient, hessian = of_vector(params, batch)
    found = critical.levenberg_marquardt(network, params, batch)
    assert found.converged
    assert found.residual <= 1e-11
    vector = np.asarray(ravel_pytree(found.params)[0])
    differences = scipy.optimize.approx_fprime(vector, lambda v: float(loss(v)), 1e-6)
    np.testing.assert_allclose(differences, 0, atol=1e-5)
    values = np.linalg.eigvalsh(hessian(vector))
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-12)
    cutoff = np.sqrt(np.finfo(float).eps) * np.abs(values).max()
    assert found.index == (values < -cutoff).sum()
    assert found.nullity == (np.abs(values) <= cutoff).sum()
    assert found.loss == pytest.approx(float(loss(vector)), rel=1e-14)
    again = scipy.optimize.root(
        lambda v: np.asarray(gradient(v)), vector, jac=lambda v: np.asarray(hessian(v))
    )
    # Along a direction without curvature, nothing holds a critical point in its place.
    values, vectors = np.linalg.eigh(hessian(vector))
    held = vectors[:, np.abs(values) > cutoff]
    np.testing.assert_allclose(held.T @ (again.x - vector), 0, atol=1e-8)
    assert float(loss(again.x)) == pytest.approx(float(loss(vector)), rel=1e-12)


def test_saddle_free_newton_finds_what_scipy_minimizes(double, fit):
    params, batch = fit
    found = critical.saddle_free_newton(network, params, batch)
    loss, gradient, _ = of_vector(params, batch)
    start = np.asarray(ravel_pytree(params)[0])
    scipys = scipy.optimize.minimize(
        lambda v: float(loss(v)), start, jac=lambda v: np.asarray(gradient(v)), options={"gtol": 1e-10}
    )
    assert found.converged
    assert found.index == 0
    assert found.loss <= scipys.fun + 1e-9
    valley = critical.saddle_free_newton(rosenbrock, {"x": jnp.float64(-1.2), "y": jnp.float64(1.0)})
    assert valley.converged
    assert (float(valley.params["x"]), float(valley.params["y"])) == pytest.approx((1, 1), abs=1e-8)


def test_it_leaves_the_saddle_to_which_levenberg_marquardt_goes(x64):
    start = jnp.array([0.01, 0.9])
    assert critical.levenberg_marquardt(wells, start).index == 1
    down = critical.saddle_free_newton(wells, start)
    assert down.index == 0
    assert down.loss == pytest.approx(0, abs=1e-15)
    stays = critical.saddle_free_newton(wells, jnp.zeros(2))
    assert stays.index == 2
    assert stays.steps == 0


@pytest.mark.parametrize("steps", [3, 7, 20])
def test_minres_takes_scipys_steps(steps, rng, x64):
    matrix = rng.standard_normal((20, 20))
    matrix, target = matrix + matrix.T, rng.standard_normal(20)
    found = critical.minres(Matrix(jnp.asarray(matrix)), target, max_steps=steps)
    expected, _ = scipy.sparse.linalg.minres(matrix, target, rtol=1e-14, maxiter=steps)
    np.testing.assert_allclose(found.solution, expected, atol=1e-9)
    left = np.linalg.norm(target - matrix @ expected) / np.linalg.norm(target)
    assert found.residual == pytest.approx(left, abs=1e-9)
    assert found.steps == steps


@pytest.mark.parametrize("solvable", [True, False])
def test_minres_of_a_singular_system_has_the_least_residual(solvable, rng, x64):
    for _ in range(20):
        basis, _ = np.linalg.qr(rng.standard_normal((20, 20)))
        values = np.r_[np.zeros(5), rng.uniform(0.5, 2, 15) * rng.choice([-1, 1], 15)]
        matrix, target = (basis * values) @ basis.T, rng.standard_normal(20)
        target = matrix @ target if solvable else target
        found = critical.minres(Matrix(jnp.asarray(matrix)), target)
        least = np.linalg.norm(matrix @ (np.linalg.pinv(matrix, 1e-10) @ target) - target)
        assert found.converged
        assert found.residual == pytest.approx(least / np.linalg.norm(target), abs=1e-9)
        left = np.linalg.norm(matrix @ np.asarray(found.solution) - target)
        assert left == pytest.approx(least, abs=1e-7)
    nothing = critical.minres(Matrix(jnp.asarray(matrix)), np.zeros(20, int))
    assert nothing.converged
    assert not np.any(nothing.solution)


@pytest.mark.beyond
def test_newton_with_minres_needs_no_matrix(rng, x64):
    scales = jnp.asarray(rng.uniform(0.5, 2, 120) * rng.choice([-1, 1], 120))

    def loss(w, batch):
        return jnp.sum(batch * w**2) / 2 + jnp.sum(w) ** 2 / 20 + jnp.sum(w**4) / 4

    start = {"one": 0.1 * rng.standard_normal(80), "other": 0.1 * rng.standard_normal(40)}
    found = critical.newton_minres(
        lambda w, batch: loss(jnp.concatenate([w["one"], w["other"]]), batch),
        start,
        scales,
        inner_steps=60,
        eigenvalues=False,
    )
    assert found.converged
    assert found.index == found.nullity == -1
    assert found.eigenvalues.shape == (0,)
    assert np.isnan(found.slope)
    end = jnp.concatenate([found.params["one"], found.params["other"]])
    whole = critical.classify(loss, end, scales)
    assert whole.residual == pytest.approx(float(found.residual), abs=1e-14)
    assert whole.index == np.sum(np.linalg.eigvalsh(jax.hessian(loss)(end, scales)) < 0)
    assert whole.index > 30


def test_a_flat_gradient_is_told(x64):
    def slide(w, _):
        return w[0] + w[1] ** 2

    found = critical.levenberg_marquardt(slide, jnp.array([0.3, 0.5]))
    assert not found.converged
    assert found.slope == pytest.approx(0, abs=1e-6)
    assert found.residual == pytest.approx(1)
    assert found.steps < 500
    assert critical.classify(slide, jnp.array([0.3, 2.0])).slope == pytest.approx(4 / np.sqrt(17))
    assert not critical.newton_minres(slide, jnp.array([0.3, 0.5])).converged


@pytest.mark.beyond
def test_a_search_goes_on_where_it_was_stopped(double, fit):
    params, batch = fit
    whole = critical.levenberg_marquardt(network, params, batch, max_steps=12, tolerance=0.0)
    half = critical.levenberg_marquardt(network, params, batch, max_steps=6, tolerance=0.0)
    rest = critical.levenberg_marquardt(
        network, half.params, batch, max_steps=6, tolerance=0.0, damping=half.damping
    )
    assert half.residual > rest.residual
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), rest.params, whole.params)
    assert rest.damping == whole.damping


def test_what_is_not_finite_is_told_or_refused(x64):
    def barrier(w, _):
        return w[0] - jnp.log(w[0])

    outside = critical.levenberg_marquardt(barrier, jnp.array([-1.0]))
    assert np.isnan(outside.loss)
    assert not outside.converged
    for search in (critical.levenberg_marquardt, critical.saddle_free_newton, critical.newton_minres):
        inside = search(barrier, jnp.array([1.9]))
        assert inside.converged
        assert float(inside.params[0]) == pytest.approx(1)


def test_gradient_descent_takes_its_steps(rng, x64):
    scales = rng.uniform(0.1, 1, 5)
    start = rng.standard_normal(5)

    def bowl(w, batch):
        return jnp.sum(batch * w**2) / 2

    ends = jax.vmap(lambda steps: critical.gradient_descent(bowl, start, scales, rate=0.5, max_steps=steps))(
        jnp.array([0, 3, 40])
    )
    expected = start * (1 - 0.5 * scales) ** np.array([[0], [3], [40]])
    np.testing.assert_allclose(ends.params, expected, rtol=1e-12)
    np.testing.assert_array_equal(ends.steps, [0, 3, 40])
    early = critical.gradient_descent(bowl, start, scales, rate=0.5, max_steps=1000, target=0.01)
    assert early.loss <= 0.01 < float(bowl(early.params / (1 - 0.5 * scales), scales))
    done = critical.gradient_descent(bowl, start, scales, rate=0.5, max_steps=10_000, tolerance=1e-9)
    assert done.converged
    assert done.steps < 10_000


def test_single_precision_stays_single():
    found = critical.levenberg_marquardt(wells, jnp.array([0.1, 1.2]))
    assert found.converged
    assert found.index == 1
    for leaf in (found.loss, found.residual, found.eigenvalues, found.params):
        assert leaf.dtype == np.float32


SEARCHES = (critical.levenberg_marquardt, critical.saddle_free_newton, critical.newton_minres)


@pytest.mark.parametrize("function", [*SEARCHES, critical.classify])
def test_arguments_are_checked(function, own_errors):
    w = jnp.ones(2)
    with pytest.raises(
        ValueError, match=r"loss gives an array of shape \(2,\): take a function that gives one"
    ):
        function(lambda w, _: w**2, w)
    with pytest.raises(TypeError, match="loss gives a tuple: take a function that gives one number"):
        function(lambda w, _: (w @ w, w), w)
    with pytest.raises(TypeError, match="params holds int32: take real floating-point arrays"):
        function(wells, jnp.ones(2, int))
    with pytest.raises(
        ValueError, match="params holds no array: take the parameters that the loss depends on"
    ):
        function(lambda *_: jnp.float32(1), {})
    with pytest.raises(ValueError, match=r"tolerance is -1\.0: take a number of 0 or more"):
        function(wells, w, tolerance=-1.0)
    with pytest.raises(ValueError, match=r"cutoff is -1\.0: take a number of 0 or more"):
        function(wells, w, cutoff=-1.0)


def test_options_are_checked(own_errors):
    w = jnp.ones(2)
    for search in SEARCHES:
        with pytest.raises(ValueError, match="max_steps is 0: take a whole number at least 1"):
            search(wells, w, max_steps=0)
    for search in SEARCHES[:2]:
        with pytest.raises(ValueError, match=r"damping is 0\.0: take a positive number"):
            search(wells, w, damping=0.0)
    with pytest.raises(ValueError, match="inner_steps is 0: take a whole number at least 1"):
        critical.newton_minres(wells, w, inner_steps=0)
    with pytest.raises(TypeError, match="eigenvalues is 1: take True or False"):
        critical.newton_minres(wells, w, eigenvalues=1)
    with pytest.raises(ValueError, match="rate is 0: take a positive number"):
        critical.gradient_descent(wells, w, rate=0, max_steps=1)
    with pytest.raises(TypeError, match=r"max_steps is 1\.5: take a whole number at least 0"):
        critical.gradient_descent(wells, w, rate=0.1, max_steps=1.5)
    with pytest.raises(TypeError, match="target is complex"):
        critical.minres(Matrix(jnp.eye(2)), np.array([1, 1j]))
    with pytest.raises(ValueError, match="target holds no array: take a pytree like"):
        critical.minres(Matrix(jnp.eye(2)), None)
    with pytest.raises(ValueError, match="vector has"):
        critical.minres(Matrix(jnp.eye(2)), jnp.ones((3, 3)))
    with pytest.raises(ValueError, match="max_steps is 0: take a whole number at least 1"):
        critical.minres(Matrix(jnp.eye(2)), w, max_steps=0)
