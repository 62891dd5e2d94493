"""Derivatives of scattering in images and filters."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import scattering2d, wavelets
from tests.harmonic.scattering2d.direct import without_windows


@pytest.mark.beyond
def test_chunks_do_not_change_the_gradient(rng):
    bank = scattering2d.filter_bank((12, 8), J=2, L=2)
    x = rng.standard_normal((5, 12, 8)).astype(np.float32)

    def gradient(**options):
        return jax.grad(lambda x: (scattering2d.scatter(bank, x, **options) ** 2).sum())(x)

    np.testing.assert_allclose(gradient(chunk=2), gradient(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("program", [scattering2d.scatter, scattering2d.propagate])
def test_the_gradient_at_a_zero_image_is_finite(program):
    bank = scattering2d.filter_bank((16, 16), J=2, L=4)

    def total(bank, x):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(program(bank, x)))

    for_bank, for_image = jax.grad(total, argnums=(0, 1))(bank, jnp.zeros((16, 16)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((for_bank, for_image)))


@pytest.mark.parametrize("windows", [True, pytest.param(False, marks=pytest.mark.beyond)])
def test_the_gradient_with_respect_to_a_bank(rng, x64, windows):
    bank = scattering2d.filter_bank((10, 12), J=2, L=3)
    if not windows:
        bank = without_windows(bank)
    x = rng.standard_normal((10, 12))
    weights = rng.standard_normal(scattering2d.scatter(bank, x).shape)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), bank)

    def loss(bank):
        return jnp.vdot(weights, scattering2d.scatter(bank, x))

    def moved(step):
        return loss(jax.tree.map(lambda leaf, change: leaf + step * change, bank, direction))

    gradient = jax.grad(loss)(bank)
    slope = sum(map(jnp.vdot, jax.tree.leaves(gradient), jax.tree.leaves(direction)))
    np.testing.assert_allclose(slope, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-6)
    assert all(abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))


@pytest.mark.beyond
def test_wavelets_are_learned_through_their_parameters(rng, x64):
    x = rng.standard_normal((2, 8, 12))
    weights = rng.standard_normal((2, 1 + 6 + 9, 2, 3))

    def loss(parameters):
        bank = scattering2d.filter_bank(
            (8, 12), J=2, L=3, wavelet=partial(wavelets.morlet, parameters=parameters)
        )
        return jnp.vdot(weights, scattering2d.scatter(bank, x))

    parameters = wavelets.morlet_parameters(2, 3)
    gradient = jax.jit(jax.grad(loss))(parameters)
    for name in parameters:
        step = jax.tree.map(jnp.zeros_like, parameters) | {name: 1e-6 * jnp.ones_like(parameters[name])}
        after, before = (
            loss({key: parameters[key] + sign * step[key] for key in parameters}) for sign in (1, -1)
        )
        assert abs(gradient[name]).max() > 0
        np.testing.assert_allclose(gradient[name].sum(), (after - before) / 2e-6, rtol=1e-5, atol=1e-8)


@pytest.mark.beyond
def test_forward_over_reverse(rng, x64):
    bank = scattering2d.filter_bank((8, 8), J=2, L=2)
    x, direction = rng.standard_normal((2, 8, 8))
    gradient = jax.grad(lambda x: (scattering2d.scatter(bank, x) ** 2).sum())
    product = jax.jvp(gradient, (x,), (direction,))[1]
    difference = (gradient(x + 1e-6 * direction) - gradient(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(product, difference, rtol=0, atol=1e-6 * abs(difference).max())
