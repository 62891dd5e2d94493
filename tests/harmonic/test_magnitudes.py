"""Moduli and scales against NumPy's, at the ends of the range as well."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import magnitudes


def test_the_modulus_and_its_derivative(rng):
    real, imaginary = jnp.asarray(rng.standard_normal((2, 5)), jnp.float32)
    np.testing.assert_allclose(magnitudes.modulus(real, imaginary), np.hypot(real, imaginary), rtol=1e-6)
    slopes = jax.grad(lambda a, b: magnitudes.modulus(a, b).sum(), (0, 1))(real, imaginary)
    for slope, part in zip(slopes, (real, imaginary)):
        np.testing.assert_allclose(slope, part / jnp.hypot(real, imaginary), rtol=1e-6)
    assert jax.grad(magnitudes.modulus)(jnp.zeros(()), jnp.zeros(())) == 0


@pytest.mark.parametrize("size", [1e-30, 3.0, 1e35])
def test_scales_are_powers_of_two(size, rng):
    x = np.float32(size * rng.standard_normal((3, 4, 5)))
    for axes in ((-1,), (-2, -1)):
        found, scale = (np.asarray(one) for one in magnitudes.scaled(jnp.asarray(x), axes))
        assert scale.shape == tuple(1 if axis - 3 in axes else n for axis, n in enumerate(x.shape))
        np.testing.assert_array_equal(np.frexp(scale)[0], 0.5)
        largest = np.abs(found).max(axes)
        # The nearest power of two is at most a third larger, or a third less.
        assert (largest >= 0.75).all()
        assert (largest <= 1.5).all()
        np.testing.assert_array_equal(found * scale, x)


def test_what_cannot_be_scaled_stays():
    x = np.float32([[0, 0], [np.inf, 1], [np.nan, 1]])
    found, scale = magnitudes.scaled(jnp.asarray(x), (-1,))
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal(scale, np.ones((3, 1)))
