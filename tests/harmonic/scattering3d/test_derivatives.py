"""Derivatives of solid harmonic scattering in densities and filters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import scattering3d


def test_the_gradient_at_an_empty_density_is_finite():
    bank = scattering3d.filter_bank((6, 6, 6), 1, 1)
    gradients = jax.grad(lambda bank, x: scattering3d.scatter(bank, x).sum(), argnums=(0, 1))(
        bank, jnp.zeros((6, 6, 6))
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.beyond
def test_the_gradient_with_respect_to_a_bank(rng, x64):
    bank = scattering3d.filter_bank((6, 6, 6), 1, 1)
    x = rng.standard_normal((6, 6, 6))
    weights = rng.standard_normal(scattering3d.scatter(bank, x).shape)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), bank)

    @jax.jit
    def loss(bank):
        return jnp.vdot(weights, scattering3d.scatter(bank, x))

    def moved(step):
        return loss(jax.tree.map(lambda leaf, change: leaf + step * change, bank, direction))

    gradient = jax.grad(loss)(bank)
    slope = jnp.vdot(gradient.wavelets, direction.wavelets)
    np.testing.assert_allclose(slope, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-6)


def test_the_second_derivative_of_an_integral_of_squares_where_there_is_nothing():
    bank = scattering3d.filter_bank((2, 2, 2), 0, 0, order=0)
    hessian = jax.hessian(lambda x: scattering3d.scatter(bank, x, (2,))[0, 0])(jnp.zeros((2, 2, 2)))
    np.testing.assert_array_equal(hessian.reshape(8, 8), 2 * np.eye(8))


@pytest.mark.beyond
def test_forward_over_reverse(rng, x64):
    bank = scattering3d.filter_bank((6, 6, 6), 1, 1)
    x, direction = rng.standard_normal((2, 6, 6, 6))
    gradient = jax.jit(jax.grad(lambda x: (scattering3d.scatter(bank, x) ** 2).sum()))
    product = jax.jvp(gradient, (x,), (direction,))[1]
    difference = (gradient(x + 1e-6 * direction) - gradient(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(product, difference, rtol=0, atol=1e-5 * abs(difference).max())
