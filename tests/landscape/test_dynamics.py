"""Dynamics along a training against dense matrices, sums written out in NumPy, and exact expectations."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxtheory.landscape import dynamics, spectrum
from jaxtheory.landscape.curvature import Matrix, hessian
from tests.landscape.curvature import models

KEY = jax.random.key(0)


def square(params, batch):
    """Half the mean squared distance from the examples: the gradient of one is its difference."""
    return jnp.mean(jnp.sum((params - batch) ** 2, axis=-1)) / 2


def weighted(params, batch):
    """A quadratic function whose Hessian is the mean of diagonal matrices."""
    return jnp.mean(batch @ params**2) / 2


@pytest.fixture
def problem(rng):
    """A small network and twelve examples in four batches of three."""
    x, labels = models.data(rng, 12)
    return models.params(rng), (x.reshape(4, 3, -1), labels.reshape(4, 3))


def squared_norm(tree):
    return sum(np.sum(np.asarray(leaf) ** 2) for leaf in jax.tree.leaves(tree))


def whole(batches):
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batches)


def test_sharpness_all_steps_give_the_largest_eigenvalue(rng, x64):
    matrix = rng.standard_normal((8, 8))
    matrix = matrix + matrix.T
    found = dynamics.sharpness(Matrix(jnp.asarray(matrix)), rng.standard_normal(8), steps=8)
    values, vectors = np.linalg.eigh(matrix)
    assert float(found.value) == pytest.approx(values[-1], rel=1e-12)
    assert abs(vectors[:, -1] @ np.asarray(found.vector)) == pytest.approx(1, abs=1e-12)


def test_sharpness_the_residual_is_that_of_the_pair(rng, x64):
    matrix = rng.standard_normal((30, 30))
    matrix = matrix + matrix.T
    found = dynamics.sharpness(Matrix(jnp.asarray(matrix)), rng.standard_normal(30), steps=6)
    vector = np.asarray(found.vector)
    residual = np.linalg.norm(matrix @ vector - float(found.value) * vector)
    assert float(found.residual) == pytest.approx(residual, rel=1e-9)
    assert residual > 0.01
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-12)
    assert np.min(np.abs(np.linalg.eigvalsh(matrix) - float(found.value))) <= residual


def test_sharpness_the_space_may_end_early(x64):
    matrix = -jnp.diag(jnp.array([3.0, 2.0, 1.0, 5.0]))
    found = dynamics.sharpness(Matrix(matrix), jnp.array([1.0, 0.0, 0.0, 2.0]), steps=4)
    assert float(found.value) == pytest.approx(-3, rel=1e-12)
    assert float(found.residual) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(np.abs(found.vector), [1, 0, 0, 0], atol=1e-12)
    assert np.isnan(dynamics.sharpness(Matrix(matrix), jnp.zeros(4), steps=2).value)


def test_sharpness_bad_arguments(own_errors):
    operator = Matrix(jnp.eye(3))
    with pytest.raises(ValueError, match="steps is 4: take a whole number from 1 to 3"):
        dynamics.sharpness(operator, jnp.ones(3), steps=4)
    with pytest.raises(ValueError, match=r"start has the structure .*: take PyTreeDef"):
        dynamics.sharpness(operator, {"w": jnp.ones(3)}, steps=2)


def test_gradient_noise_is_the_covariance_of_gradients(rng, x64):
    examples, params = rng.standard_normal((20, 1, 3)), rng.standard_normal(3)
    found = dynamics.gradient_noise(square, params, examples, chunk=5)
    trace = np.trace(np.cov(examples[:, 0].T))
    norm = np.sum((params - examples.mean((0, 1))) ** 2)
    assert float(found.trace) == pytest.approx(trace, rel=1e-12)
    assert float(found.squared_norm) == pytest.approx(norm - trace / 20, rel=1e-12)


def test_gradient_noise_agrees_with_squared_norms(problem, x64):
    params, batches = problem
    found = dynamics.gradient_noise(models.loss, params, batches)
    gradient = jax.jit(jax.grad(models.loss))
    parts = [gradient(params, jax.tree.map(lambda leaf, k=k: leaf[k], batches)) for k in range(4)]
    small = np.mean([squared_norm(part) for part in parts])
    large = squared_norm(jax.tree.map(lambda *leaves: sum(leaves) / 4, *parts))
    expected = dynamics.noise_of_norms(small, large, 3, 12)
    assert float(found.trace) == pytest.approx(float(expected.trace), rel=1e-10)
    assert float(found.squared_norm) == pytest.approx(float(expected.squared_norm), rel=1e-10)


def test_gradient_noise_is_unbiased_and_may_be_negative():
    """Examples N(m, s² I) in three dimensions: tr Σ = 3 s² and |G|² = |m|² at the origin."""
    mean, deviation = jnp.array([0.2, 0.0, -0.1]), 0.7
    draws = mean + deviation * jax.random.normal(KEY, (4000, 4, 2, 3))
    found = jax.vmap(lambda batches: dynamics.gradient_noise(square, jnp.zeros(3), batches))(draws)
    for values, expected in ((found.trace, 3 * deviation**2), (found.squared_norm, 0.05)):
        values = np.asarray(values)
        assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(len(values))
    assert 0.1 < np.mean(found.squared_norm < 0) < 0.9


def test_gradient_noise_does_not_cancel_in_single_precision(rng):
    examples = np.float32(1e3 + 0.1 * rng.standard_normal((64, 1, 2)))
    found = dynamics.gradient_noise(square, jnp.zeros(2), examples, chunk=16)
    assert float(found.trace) == pytest.approx(np.trace(np.cov(examples[:, 0].T)), rel=1e-3)


def test_half_precision_is_summed_in_single(rng):
    examples = jnp.asarray(rng.standard_normal((64, 1, 2)), jnp.bfloat16)
    found = dynamics.gradient_noise(square, jnp.zeros(2, jnp.bfloat16), examples)
    exact = np.asarray(examples, np.float64)[:, 0]
    assert found.trace.dtype == jnp.float32
    assert float(found.trace) == pytest.approx(np.trace(np.cov(exact.T)), rel=1e-2)
    init, measure = dynamics.probe(weighted, steps=2)
    params = jnp.ones(2, jnp.bfloat16)
    state, found = measure(init(params, KEY), params, jnp.abs(examples))
    assert state.vector.dtype == jnp.bfloat16
    assert float(found.sharpness) == pytest.approx(np.abs(exact).mean(0).max(), rel=2e-2)


def test_gradient_noise_bad_arguments(own_errors):
    with pytest.raises(ValueError, match=r"batches have the shapes \[\(1, 4, 3\)\]: take arrays"):
        dynamics.gradient_noise(square, jnp.zeros(3), jnp.ones((1, 4, 3)))
    unequal = (jnp.ones((2, 4, 3)), jnp.ones((2, 5)))
    with pytest.raises(ValueError, match="two leading axes in common, of at least two batches"):
        dynamics.gradient_noise(lambda params, batch: square(params, batch[0]), jnp.zeros(3), unequal)
    with pytest.raises(ValueError, match="chunk is 2: take a divisor of 3, the number of batches"):
        dynamics.gradient_noise(square, jnp.zeros(3), jnp.ones((3, 4, 3)), chunk=2)
    with pytest.raises(ValueError, match="small_size is 0: take a positive number"):
        dynamics.noise_of_norms(1.0, 1.0, 0, 2)
    with pytest.raises(ValueError, match="large_size is 4: take more than 4, the small batches' size"):
        dynamics.noise_of_norms(1.0, 1.0, 4, 4)


def test_noise_scale_is_a_ratio_of_sums():
    trace, norm = np.array([10.0, 20.0, 30.0]), np.array([1.0, 0.1, 0.4])
    found = dynamics.noise_scale(trace, norm)
    assert float(found.value) == pytest.approx(40)
    assert bool(found.defined)
    assert np.mean(trace / norm) > 80


def test_noise_scale_of_windows(rng):
    trace, norm = rng.uniform(1, 2, (2, 7)), rng.uniform(1, 2, (2, 7))
    found = dynamics.noise_scale(trace, norm, window=3)
    places = [slice(k, k + 3) for k in range(5)]
    expected = [[one[at].sum() / other[at].sum() for at in places] for one, other in zip(trace, norm)]
    np.testing.assert_allclose(found.value, expected, rtol=1e-6)


def test_noise_scale_without_signal_is_nan_and_flagged():
    found = dynamics.noise_scale(np.array([1.0, 1.0, 1.0]), np.array([2.0, -2.0, -1.0]), window=2)
    np.testing.assert_array_equal(found.value, [np.nan, np.nan])
    assert found.defined.tolist() == [False, False]
    found = dynamics.noise_scale(np.array([1.0, 1.0, 1.0]), np.array([2.0, -2.0, 1.0]))
    assert float(found.value) == 3
    assert bool(found.defined)


def test_noise_scale_bad_arguments(own_errors):
    with pytest.raises(ValueError, match=r"squared_norm has the shape \(3,\): take \(2,\), the trace's"):
        dynamics.noise_scale(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match=r"trace has the shape \(\): take"):
        dynamics.noise_scale(1.0, 1.0)
    with pytest.raises(ValueError, match="window is 4: take a whole number from 1 to 3"):
        dynamics.noise_scale(np.ones(3), np.ones(3), window=4)


def test_probe_an_eigenvalue_that_overtakes_is_seen():
    """The vector that was found last is an eigenvector still, but no longer that of the largest."""
    curvatures = jnp.array([[3.0, 2.0, 1.0, 0.5], [3.0, 6.0, 1.0, 0.5]])
    init, measure = dynamics.probe(weighted, steps=3)
    state = init(jnp.ones(4), KEY)
    for curvature, expected in zip(curvatures, (3, 6)):
        for _ in range(3):
            state, found = measure(state, jnp.ones(4), jnp.broadcast_to(curvature, (2, 1, 4)))
        assert float(found.sharpness) == pytest.approx(expected, rel=1e-3)


@pytest.mark.beyond
def test_probe_follows_the_largest_eigenvalue_in_a_scan(problem, x64):
    """For two seeds: against dense Hessians at each step, against a solve from a fresh start at the end."""
    params, batches = problem
    init, measure = dynamics.probe(models.loss, steps=8, chunk=2)
    steps = 30

    @jax.jit
    @jax.vmap
    def along(key):
        def step(carry, _):
            params, state = carry
            state, found = measure(state, params, batches)
            gradient = jax.grad(models.loss)(params, whole(batches))
            return (jax.tree.map(lambda w, g: w - 0.3 * g, params, gradient), state), (params, found)

        return jax.lax.scan(step, (params, init(params, key)), length=steps)

    (_, state), (path, found) = along(jax.random.split(KEY, 2))
    assert found.loss.shape == found.sharpness.shape == (2, steps)
    assert state.measured.tolist() == [steps, steps]
    np.testing.assert_allclose(found.loss[0], found.loss[1], rtol=1e-12)
    _, unravel = ravel_pytree(params)
    flat = jax.vmap(lambda tree: ravel_pytree(tree)[0])(jax.tree.map(lambda leaf: leaf[0], path))
    dense = jax.jit(jax.vmap(jax.hessian(lambda one: models.loss(unravel(one), whole(batches)))))(flat)
    largest = np.linalg.eigvalsh(dense)[:, -1]
    np.testing.assert_allclose(found.sharpness, np.stack([largest, largest]), rtol=2e-3)
    assert np.ptp(largest) > 0.1 * largest[0]
    last = jax.tree.map(lambda leaf: leaf[0, -1], path)
    fresh = spectrum.top_eigenpairs(hessian(models.loss, last, batches), 1, KEY)
    assert float(found.sharpness[0, -1]) == pytest.approx(float(fresh.values[0]), rel=2e-3)


def test_recorder_measures_now_and_then(rng, x64):
    batches = rng.uniform(0, 1, (4, 3, 6))
    recorder = dynamics.Recorder(weighted, batches, KEY, every=2, steps=6)
    returned = [recorder(0.9**k * jnp.arange(6.0)) for k in range(5)]
    assert [one is None for one in returned] == [True, False, True, False, True]
    history = recorder.history
    assert history["step"].tolist() == [2, 4]
    noise = dynamics.gradient_noise(weighted, 0.9**3 * jnp.arange(6.0), batches)
    assert history["trace"][-1] == pytest.approx(float(noise.trace), rel=1e-10)
    assert history["squared_norm"][-1] == pytest.approx(float(noise.squared_norm), rel=1e-10)
    curvatures = batches.mean((0, 1))
    np.testing.assert_allclose(history["sharpness"], curvatures.max(), rtol=1e-10)
    losses = [curvatures @ (0.9**k * np.arange(6)) ** 2 / 2 for k in (1, 3)]
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)
    assert dynamics.Recorder(weighted, batches, KEY).history["loss"].shape == (0,)


def test_recorder_bad_arguments(own_errors):
    batches = jnp.ones((2, 4, 3))
    with pytest.raises(TypeError, match="key is 0: take one random key"):
        dynamics.Recorder(square, batches, 0)
    with pytest.raises(ValueError, match="every is 0: take a whole number at least 1"):
        dynamics.Recorder(square, batches, KEY, every=0)
    with pytest.raises(ValueError, match="chunk is 0: take a whole number at least 1"):
        dynamics.probe(square, chunk=0)
    init, measure = dynamics.probe(square)
    with pytest.raises(ValueError, match="steps is 10: take a whole number from 1 to 3"):
        measure(init(jnp.zeros(3), KEY), jnp.zeros(3), batches)


def test_importing_loads_no_networks():
    code = "import sys, jaxtheory.landscape.dynamics, jaxtheory.landscape.stochastic_approximation; "
    code += "print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"flax", "optax", "matplotlib", "xarray"}
