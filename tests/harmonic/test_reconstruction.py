"""Signals and images that are found again from their scattering coefficients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxtheory.data import mnist
from jaxtheory.harmonic import reconstruction, scattering1d, scattering2d

BANK = scattering1d.filter_bank(64, J=2, boundary="periodic")
STATISTICS = Partial(scattering1d.scatter, BANK)


@pytest.fixture
def smooth(rng):
    return np.float32(np.convolve(rng.standard_normal(64), np.ones(4) / 4, "same"))


def test_a_signal_is_recovered_from_its_coefficients_of_order_2(smooth, rng):
    target = np.asarray(STATISTICS(smooth))
    start = np.float32(0.1 * rng.standard_normal(64))
    found = reconstruction.reconstruct(STATISTICS, target, start, tolerance=3e-3)
    assert bool(found.converged)
    assert 1 < int(found.steps) < 200
    misfit = np.linalg.norm(np.asarray(STATISTICS(found.x)) - target) / np.linalg.norm(target)
    assert misfit <= 3.1e-3
    assert float(found.residual) == pytest.approx(misfit, rel=0.02)
    # Coefficients so near to each other are those of signals near to each other, up to the sign.
    apart = min(np.linalg.norm(sign * np.asarray(found.x) - smooth) for sign in (1, -1))
    assert apart < 0.5 * np.linalg.norm(smooth)


@pytest.mark.beyond
def test_a_digit_is_recovered_from_its_coefficients_of_order_2(rng):
    x = mnist.load().images[0]
    bank = scattering2d.filter_bank((28, 28), J=2, L=4)
    statistics = Partial(scattering2d.scatter, bank)
    start = np.float32(0.1 * rng.standard_normal((28, 28)))
    found = reconstruction.reconstruct(statistics, statistics(x), start, max_steps=300, tolerance=1e-2)
    assert bool(found.converged)
    assert np.corrcoef(np.asarray(found.x).ravel(), x.ravel())[0, 1] > 0.9


def test_the_gradient_at_the_target_is_zero(smooth):
    pair = reconstruction.descent(STATISTICS, STATISTICS(smooth))
    state = pair.init(smooth)
    assert float(state.residual) == 0
    after = pair.step(state)
    np.testing.assert_array_equal(after.x, smooth)
    assert int(after.step) == 1


def test_steps_one_by_one_are_those_of_the_driver(smooth, rng):
    start = np.float32(0.1 * rng.standard_normal(64))
    pair = reconstruction.descent(STATISTICS, STATISTICS(smooth))
    state = pair.init(start)
    residuals = [float(state.residual)]
    for _ in range(4):
        state = pair.step(state)
        residuals.append(float(state.residual))
    assert residuals == sorted(residuals, reverse=True)
    found = reconstruction.reconstruct(STATISTICS, STATISTICS(smooth), start, max_steps=4)
    assert int(found.steps) == 4
    assert not bool(found.converged)
    np.testing.assert_allclose(found.x, state.x, atol=1e-3)


@pytest.mark.beyond
def test_any_tree_of_statistics_and_transformations():
    def statistics(x):
        return {"spectrum": jnp.fft.rfft(x), "square": jnp.mean(x**2)}

    x = jnp.array([1.0, 2.0, 0.0, -1.0])
    run = partial(reconstruction.reconstruct, statistics, statistics(x), max_steps=20)
    starts = jnp.array([[0.5, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
    together = jax.vmap(run)(starts)
    assert together.converged.all()
    np.testing.assert_allclose(together.x, jnp.stack([x, x]), atol=1e-2)
    np.testing.assert_allclose(jax.jit(run)(starts[0]).x, together.x[0], atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"statistics": 3}, TypeError, "^statistics is a int: take a function of a signal or image$"),
        ({"target": "sorted"}, TypeError, r"^target is 'sorted' \(str\): take an array of numbers$"),
        (
            {"target": np.ones(3)},
            ValueError,
            r"^target has the shapes \(3,\): take \(2,\), as ",
        ),
        ({"target": [np.ones(2)]}, ValueError, r"^target is the tree .*: take .*, as statistics returns$"),
        ({"x": np.ones(2, complex)}, TypeError, r"^x is complex \(complex128\): take real numbers"),
        ({"max_steps": 0}, ValueError, "^max_steps is 0: take a whole number at least 1$"),
        ({"tolerance": -1.0}, ValueError, "^tolerance is -1.0: take a number of 0 or more$"),
    ],
)
def test_what_cannot_be_used(own_errors, changed, error, message):
    given = {"statistics": jnp.sort, "target": np.ones(2), "x": np.ones(2, np.float32)} | changed
    with pytest.raises(error, match=message):
        reconstruction.reconstruct(**given)
