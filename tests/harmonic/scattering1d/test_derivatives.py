"""Derivatives of scattering in signals and filters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import scattering1d


@pytest.mark.parametrize("T", [None, pytest.param("global", marks=pytest.mark.beyond)])
def test_the_gradient_at_a_zero_signal_is_finite(T):
    bank = scattering1d.filter_bank(32, 3, T=T)
    gradients = jax.grad(lambda bank, x: scattering1d.scatter(bank, x).sum(), argnums=(0, 1))(
        bank, jnp.zeros(32)
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"T": "global", "folding": "sum"}, marks=pytest.mark.beyond)]
)
def test_the_gradient_with_respect_to_a_bank(rng, x64, options):
    bank = scattering1d.filter_bank(40, 3, **options)
    x = rng.standard_normal(40)
    weights = rng.standard_normal(scattering1d.scatter(bank, x).shape)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), bank)

    @jax.jit
    def loss(bank):
        return jnp.vdot(weights, scattering1d.scatter(bank, x))

    def moved(step):
        return loss(jax.tree.map(lambda leaf, change: leaf + step * change, bank, direction))

    gradient = jax.grad(loss)(bank)
    slope = sum(map(jnp.vdot, jax.tree.leaves(gradient), jax.tree.leaves(direction)))
    np.testing.assert_allclose(slope, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-6)
    assert all(abs(leaf).max() > 0 for leaf in (gradient.first, gradient.second))
    assert (float(abs(gradient.low_pass).max()) > 0) is (bank.T != "global")


@pytest.mark.beyond
def test_chunks_do_not_change_the_gradient(rng):
    bank = scattering1d.filter_bank(40, 3)
    x = rng.standard_normal((5, 40)).astype(np.float32)

    def gradient(**options):
        return jax.grad(lambda x: (scattering1d.scatter(bank, x, **options) ** 2).sum())(x)

    np.testing.assert_allclose(gradient(chunk=2), gradient(chunk=5), rtol=0, atol=1e-5)


@pytest.mark.beyond
def test_forward_over_reverse(rng, x64):
    bank = scattering1d.filter_bank(32, 3)
    x, direction = rng.standard_normal((2, 32))
    gradient = jax.jit(jax.grad(lambda x: (scattering1d.scatter(bank, x) ** 2).sum()))
    product = jax.jvp(gradient, (x,), (direction,))[1]
    difference = (gradient(x + 1e-6 * direction) - gradient(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(product, difference, rtol=0, atol=1e-6 * abs(difference).max())
