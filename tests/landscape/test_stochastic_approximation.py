"""Stochastic approximation against products and recursions of moments; gradients against back-propagation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.landscape import stochastic_approximation as approximation

KEY = jax.random.key(0)
CURVATURES = np.array([1.0, 4.0])


def gradient(x, key):
    return jnp.asarray(CURVATURES) * x + 0.3 * jax.random.normal(key, x.shape, x.dtype)


def value(x, key):
    return jnp.sum(jnp.asarray(CURVATURES) * x**2) / 2 + 0.3 * jax.random.normal(key, (), x.dtype)


def smooth(tree):
    """An analytic function of more entries than go in one chunk."""
    return jnp.sum(jnp.tanh(tree["a"]) ** 2) * jnp.exp(tree["b"]) + jnp.sum(
        jnp.sin(tree["a"]) * tree["b"] ** 3
    )


@pytest.fixture
def point(rng):
    return {"a": rng.standard_normal((7, 11)), "b": rng.standard_normal()}


def test_robbins_monro_without_noise_is_a_product(x64):
    scheme = approximation.robbins_monro(lambda x, _: jnp.asarray(CURVATURES) * x, gain=0.3, delay=2.0)
    found = approximation.iterates(scheme, jnp.ones(2), KEY, times=(1, 4, 9))
    for time, x in zip((1, 4, 9), found):
        factors = 1 - 0.3 * CURVATURES / (np.arange(1, time + 1)[:, None] + 2)
        np.testing.assert_allclose(x, factors.prod(axis=0), rtol=1e-13)


def test_robbins_monro_moments_follow_their_recursion(x64):
    """E x² of a linear gradient with noise: e ← (1 - aλ/t)² e + (a s/t)²."""
    scheme, gain, paths = approximation.robbins_monro(gradient, gain=0.8), 0.8, 4000
    keys = jax.random.split(KEY, paths)
    found = jax.vmap(lambda key: approximation.iterates(scheme, jnp.ones(2), key, times=(5, 40)))(keys)
    squares, expected = np.asarray(found) ** 2, np.ones(2)
    for t in range(1, 41):
        expected = (1 - gain * CURVATURES / t) ** 2 * expected + (gain * 0.3 / t) ** 2
        if t in (5, 40):
            at = squares[:, 0 if t == 5 else 1]
            assert (abs(at.mean(0) - expected) < 4 * at.std(0) / np.sqrt(paths)).all()


def test_robbins_monro_takes_a_pytree():
    scheme = approximation.robbins_monro(lambda x, _: jax.tree.map(lambda leaf: leaf - 1, x), gain=1.0)
    found = approximation.iterates(scheme, {"a": jnp.zeros(2), "b": 3}, KEY, times=[1])
    assert found["a"].tolist() == [[1.0, 1.0]]
    assert found["b"].tolist() == [1.0]


def test_robbins_monro_another_gain_is_not_another_program():
    traces = []

    def traced(x, key):
        traces.append(1)
        return x

    for gain in (0.1, 0.2, 0.3):
        scheme = approximation.robbins_monro(traced, gain=gain)
        approximation.iterates(scheme, jnp.ones(2), KEY, times=(2, 3))
    assert len(traces) == 1


def test_robbins_monro_bad_arguments(own_errors):
    for options, match in (
        ({"gain": 0.0}, "gain is 0.0: take a positive"),
        ({"gain": 1, "delay": -1}, "delay is -1"),
    ):
        with pytest.raises(ValueError, match=match):
            approximation.robbins_monro(gradient, **options)


def test_kiefer_wolfowitz_differences_of_a_quadratic_are_its_gradient(x64):
    def exact(x, key):
        return jnp.sum(jnp.asarray(CURVATURES) * x**2) / 2

    by_values = approximation.kiefer_wolfowitz(exact, gain=0.3, width=0.1)
    by_gradients = approximation.robbins_monro(lambda x, _: jnp.asarray(CURVATURES) * x, gain=0.3)
    schemes = by_values, by_gradients
    found = [approximation.iterates(one, jnp.ones(2), KEY, times=(3, 8)) for one in schemes]
    np.testing.assert_allclose(*found, rtol=1e-11)


def test_kiefer_wolfowitz_moments_follow_their_recursion(x64):
    """Both evaluations have noise of their own: the difference's variance is s²/(2c²), c falling in t."""
    gain, width, paths = 0.5, 0.4, 4000
    scheme = approximation.kiefer_wolfowitz(value, gain=gain, width=width, exponent=0.25)
    keys = jax.random.split(KEY, paths)
    found = jax.vmap(lambda key: approximation.iterates(scheme, jnp.ones(2), key, times=[30]))(keys)
    squares, expected = np.asarray(found[:, 0]) ** 2, np.ones(2)
    for t in range(1, 31):
        noise = 0.3**2 / (2 * (width * t**-0.25) ** 2)
        expected = (1 - gain * CURVATURES / t) ** 2 * expected + (gain / t) ** 2 * noise
    assert (abs(squares.mean(0) - expected) < 4 * squares.std(0) / np.sqrt(paths)).all()
    assert abs(np.corrcoef(np.asarray(found[:, 0]).T)[0, 1]) < 4 / np.sqrt(paths)


def test_kiefer_wolfowitz_bad_arguments(own_errors):
    for options, match in (
        ({"gain": -1.0, "width": 1.0}, "gain is -1.0: take a positive number"),
        ({"gain": 1.0, "width": 0.0}, "width is 0.0: take a positive number"),
        ({"gain": 1.0, "width": 1.0, "exponent": -0.1}, "exponent is -0.1: take a number of 0 or more"),
        ({"gain": 1.0, "width": 1.0, "delay": -2.0}, "delay is -2.0: take a number of 0 or more"),
    ):
        with pytest.raises(ValueError, match=match):
            approximation.kiefer_wolfowitz(value, **options)


def test_iterates_are_those_of_the_steps():
    def noisy(x, key):
        return 2 * x + jax.random.normal(key, x.shape)

    scheme = approximation.robbins_monro(noisy, gain=0.5)
    found = approximation.iterates(scheme, jnp.ones(2), KEY, times=(2, 5))
    state, steps = scheme.init(jnp.ones(2)), []
    for _ in range(5):
        state = scheme.step(state, KEY)
        steps.append(state.x)
    np.testing.assert_allclose(found, np.stack([steps[1], steps[4]]), rtol=1e-5)
    assert int(state.step) == 5


def test_iterates_takes_plain_functions():
    def step(state, key):
        return approximation.ApproximationState(state.x / 2, state.step + 1)

    init, _ = approximation.robbins_monro(gradient, gain=1.0)
    found = approximation.iterates(approximation.Scheme(init, step), jnp.ones(()), KEY, times=(1, 3))
    assert found.tolist() == [0.5, 0.125]


def test_iterates_bad_arguments(own_errors):
    scheme = approximation.robbins_monro(gradient, gain=1.0)
    for times in ((), (3, 3), (4, 2)):
        with pytest.raises(ValueError, match=r"times are \(.*\): take rising numbers of steps"):
            approximation.iterates(scheme, jnp.ones(2), KEY, times=times)
    with pytest.raises(ValueError, match="times is 0: take a whole number at least 1"):
        approximation.iterates(scheme, jnp.ones(2), KEY, times=(0, 1))
    with pytest.raises(TypeError, match="key is 1: take one random key"):
        approximation.iterates(scheme, jnp.ones(2), 1, times=(1,))
    with pytest.raises(TypeError, match="x is complex"):
        approximation.iterates(scheme, jnp.ones(2, complex), KEY, times=(1,))


@pytest.mark.parametrize(
    ("method", "tolerance"),
    [
        (approximation.forward_gradient, 1e-14),
        (approximation.complex_step_gradient, 1e-14),
        (approximation.central_gradient, 1e-9),
    ],
)
def test_gradients_agree_with_back_propagation(point, method, tolerance, x64):
    expected, found = jax.grad(smooth)(point), method(smooth, point)
    size = np.linalg.norm(expected["a"])
    for name in point:
        assert found[name].dtype == jnp.float64
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance * size)


def test_gradients_the_complex_step_needs_no_difference(x64):
    """At 1e-20 a difference of values would be zero."""

    def cube(x):
        return jnp.sum(x**3)

    x = jnp.array([1.0, 2.0])
    assert approximation.central_gradient(cube, x, step=1e-20).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(approximation.complex_step_gradient(cube, x), [3, 12], rtol=1e-15)


def test_gradients_bad_arguments(own_errors):
    for method in (approximation.complex_step_gradient, approximation.central_gradient):
        with pytest.raises(ValueError, match=r"step is 0\.0: take a positive number"):
            method(jnp.sum, jnp.ones(2), step=np.float32(0))
    with pytest.raises(TypeError, match="x is complex"):
        approximation.forward_gradient(jnp.sum, jnp.ones(2, complex))
