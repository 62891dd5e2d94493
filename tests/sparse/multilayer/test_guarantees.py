"""Guarantees: the theorems' formulas, and draws that meet them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse import multilayer
from tests.sparse.multilayer.models import hopping


@pytest.mark.beyond
def test_no_bound_is_broken_by_draws_that_meet_it(x64, rng):
    filters, strides = hopping(rng)
    mu = multilayer.coherences(filters, strides=strides)
    assert 0.001 < mu[0] < 0.02
    np.testing.assert_allclose(mu[1], 1 / 16)
    draw = partial(
        multilayer.sample, filters=filters, shape=(1280,), sparsity=3, largest=1.3, strides=strides
    )
    x, *codes = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 40))
    noise = 1e-4 * rng.standard_normal(x.shape)
    size = multilayer.patch_norm(noise, (16,))
    figures = multilayer.sparsity(filters, codes, strides=strides)
    promises = {
        kind: multilayer.thresholding_guarantee(mu, figures, size, kind=kind) for kind in ("hard", "soft")
    }
    promises["basis pursuit"] = multilayer.basis_pursuit_guarantee(mu, figures, size)
    for name, promise in promises.items():
        each = [promise.parameters[:, layer, None, None] for layer in range(2)]
        options = {"strides": strides}
        if name == "basis pursuit":
            solutions = multilayer.layered_basis_pursuit(filters, x + noise, each, tolerance=1e-10, **options)
            found = [one.codes for one in solutions]
        else:
            found = multilayer.layered_thresholding(filters, x + noise, each, kind=name, **options)
        met = np.asarray(promise.holds).all(-1)
        assert met.sum() >= 12
        for layer, (one, true) in enumerate(zip(found, codes)):
            error = multilayer.patch_norm(one - true, (33,))
            assert np.all(error[met] <= promise.errors[met, layer])
            extra, missed = (one != 0) & (true == 0), (one == 0) & (true != 0)
            assert not np.any(extra[met])
            if name != "basis pursuit":
                assert not np.any(missed[met])
            assert np.all(error[met] > 0)


def test_guarantees_are_the_theorems_formulas(x64):
    mu, noise = np.array([0.01, 0.05]), 0.002
    stripes, patches = np.array([4, 3]), np.array([9, 4])
    smallest, largest = np.array([0.5, 1.0]), np.array([0.6, 1.2])
    figures = multilayer.Sparsity(*map(jnp.asarray, (stripes, patches, smallest, largest)))
    betas, expected = [0.04, 0.4], {"hard": [], "soft": []}
    for kind, errors in expected.items():
        error = noise
        for i in range(2):
            plain = error + mu[i] * (stripes[i] - 1) * largest[i] + (betas[i] if kind == "soft" else 0)
            error = np.sqrt(patches[i]) * plain
            errors.append(error)
        found = multilayer.thresholding_guarantee(mu, figures, noise, kind=kind, thresholds=betas)
        assert np.all(found.holds)
        np.testing.assert_allclose(found.errors, errors)
        np.testing.assert_allclose(found.parameters, betas)
        before = np.array([noise, errors[0]])
        np.testing.assert_allclose(
            found.sparsities, (1 + smallest / (mu * largest)) / 2 - before / (mu * largest)
        )
    # A threshold that lets through what others cast on an atom outside of the support.
    low = multilayer.thresholding_guarantee(mu, figures, noise, kind="hard", thresholds=[0.02, 0.4])
    assert low.holds.tolist() == [False, False]
    assert np.all(np.isinf(low.errors))
    pursued = multilayer.basis_pursuit_guarantee(mu, figures, noise)
    np.testing.assert_allclose(pursued.errors, [noise * 7.5 * 3, noise * 7.5**2 * 6])
    np.testing.assert_allclose(pursued.parameters, [4 * noise, 4 * noise * 7.5 * 3])
    np.testing.assert_allclose(pursued.sparsities, (1 + 1 / mu) / 3)
    unique = multilayer.uniqueness_guarantee(mu, figures)
    np.testing.assert_allclose(unique.sparsities, (1 + 1 / mu) / 2)
    assert np.all(unique.errors == 0)
    stable = multilayer.stability_guarantee(mu, figures, noise)
    first = np.sqrt(4 * noise**2 / (1 - 7 * 0.01))
    np.testing.assert_allclose(stable.errors, [first, np.sqrt(4 * first**2 / (1 - 5 * 0.05))])
    full = multilayer.Sparsity(*map(jnp.asarray, (np.array([60, 1]), patches, smallest, largest)))
    for promise in (
        multilayer.uniqueness_guarantee(mu, full),
        multilayer.stability_guarantee(mu, full, noise),
        multilayer.basis_pursuit_guarantee(mu, full, noise),
        multilayer.thresholding_guarantee(mu, full, noise),
    ):
        assert promise.holds.tolist() == [False, False]
        assert np.all(np.isinf(promise.errors))
    # A threshold there is nevertheless.
    np.testing.assert_allclose(promise.parameters, smallest / 2)


def test_two_sparse_codes_of_one_image_are_as_close_as_theorem_5_says(x64, rng):
    filters, strides = hopping(rng)
    mu = multilayer.coherences(filters, strides=strides)
    options = {"strides": strides}

    @jax.jit
    def drawn(key, values):
        x, *codes = multilayer.sample(key, filters, (1280,), 3, largest=1.3, **options)
        # The same support, other values: what a noisy image cannot tell apart.
        y, *others = multilayer.synthesize(filters, codes[-1] * (1 + 0.1 * values), **options)
        figures = [multilayer.sparsity(filters, z, **options) for z in (codes, others)]
        # Both meet the image in their middle up to half of their distance.
        noise = jnp.linalg.norm(x - y) / 2
        return codes, others, multilayer.stability_guarantee(mu, jax.tree.map(jnp.maximum, *figures), noise)

    for key in jax.random.split(jax.random.key(3), 10):
        codes, others, promise = drawn(key, rng.standard_normal((80, 16)))
        assert np.all(promise.holds)
        for one, other, bound in zip(codes, others, promise.errors):
            assert 0 < np.linalg.norm(one - other) <= bound
