"""Priors of images against NumPy and scikit-learn's lasso, and shifts against `np.roll`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import sparse_encode

from jaxtheory.inspection import priors
from jaxtheory.sparse import patches


def test_norms_are_sums_of_powers(rng):
    x = np.float32(rng.standard_normal((2, 5, 4, 3)))
    found = priors.lp_norm(x, 6)
    np.testing.assert_allclose(found, (np.abs(x) ** 6).sum((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(
        priors.lp_norm(x, 2) ** 0.5, np.linalg.norm(x.reshape(2, -1), axis=1), rtol=1e-6
    )


def test_the_variation_is_that_of_differences(rng):
    x = np.float32(rng.standard_normal((5, 4, 2)))
    square = np.zeros_like(x)
    square[:-1] += (x[1:] - x[:-1]) ** 2
    square[:, :-1] += (x[:, 1:] - x[:, :-1]) ** 2
    for exponent in (1, 1.5, 2):
        expected = (square ** (exponent / 2)).sum()
        np.testing.assert_allclose(priors.total_variation(x, exponent), expected, rtol=1e-5)


def test_an_edge_and_a_slope_of_one_height_have_one_variation_but_not_one_energy():
    edge = np.repeat(np.float32([0, 0, 0, 1, 1]), 3).reshape(5, 3, 1)
    slope = np.repeat(np.linspace(0, 1, 5, dtype=np.float32), 3).reshape(5, 3, 1)
    assert float(priors.total_variation(edge, 1)) == pytest.approx(3)
    assert float(priors.total_variation(slope, 1)) == pytest.approx(3)
    assert float(priors.total_variation(edge, 2)) == pytest.approx(3)
    assert float(priors.total_variation(slope, 2)) == pytest.approx(3 / 4)


@pytest.mark.parametrize("prior", [priors.lp_norm, priors.total_variation])
def test_a_flat_image_has_a_derivative_of_zero(prior):
    slope = jax.grad(lambda x: prior(x, 1))(jnp.zeros((3, 3, 1)))
    np.testing.assert_array_equal(slope, 0)


def test_patches_cost_what_the_lasso_leaves(rng):
    dictionary = rng.standard_normal((6, 8))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    x = np.float32(rng.standard_normal((5, 4, 2)))
    cut = np.asarray(patches.extract(x, 2)).reshape(-1, 4, 2)
    centered = (cut - cut.mean(1, keepdims=True)).reshape(-1, 8)
    codes = sparse_encode(np.float64(centered), dictionary, algorithm="lasso_cd", alpha=0.2, max_iter=10_000)
    left = centered - codes @ dictionary
    exact = ((left**2).sum() / 2 + 0.2 * np.abs(codes).sum()) / 4
    value, slope = jax.value_and_grad(lambda x: priors.patch_energy(dictionary, x, 2, 0.2, steps=500))(x)
    assert float(value) == pytest.approx(exact, rel=1e-4)
    few = float(priors.patch_energy(dictionary, x, 2, 0.2, steps=3))
    assert exact < few < 1.5 * exact
    # What the codes leave of the patches, put back: each pixel the sum over its patches.
    left = left.reshape(-1, 4, 2)
    left = (left - left.mean(1, keepdims=True)).reshape(4, 3, 2, 2, 2)
    put = np.zeros_like(x)
    for i in range(2):
        for j in range(2):
            put[i : i + 4, j : j + 3] += left[:, :, i, j] / 4
    np.testing.assert_allclose(slope, put, atol=2e-3)


def test_constant_channels_cost_nothing_as_patches(rng):
    x = np.broadcast_to(np.float32([0.3, 0.8]), (5, 5, 2))
    assert float(priors.patch_energy(rng.standard_normal((4, 18)), x, 3, 0.1)) == pytest.approx(0, abs=1e-10)


def test_all_shifts_up_to_the_largest_are_drawn(rng):
    x = np.float32(rng.standard_normal((6, 5, 1)))
    moved = jax.vmap(lambda key: priors.jitter(key, x, 1))(jax.random.split(jax.random.key(0), 100))
    shifts = {(i, j): np.roll(x, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    found = [[at for at, one in shifts.items() if (one == image).all()] for image in np.asarray(moved)]
    assert all(len(one) == 1 for one in found)
    assert {one[0] for one in found} == set(shifts)
    np.testing.assert_array_equal(priors.jitter(jax.random.key(0), x, 0), x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: priors.lp_norm(x, 0.5), ValueError, "^p is 0.5: take a number from 1 to inf$"),
        (lambda x: priors.total_variation(x, 0), ValueError, "^exponent is 0: take a number from 1 to inf$"),
        (lambda x: priors.lp_norm(x[0]), ValueError, r"^x has the shape \(4, 1\): take \(\.\.\., H, W, C\)"),
        (lambda x: priors.total_variation(1j * x), TypeError, r"^x is complex \(complex64\)"),
        (
            lambda x: priors.patch_energy(np.ones((2, 5)), x, 2, 0.1),
            ValueError,
            r"^dictionary has the shape \(2, 5\): take \(atoms, 4\)",
        ),
        (lambda x: priors.patch_energy(np.ones((2, 25)), x, 5, 0.1), ValueError, r"^patch_size is \(5, 5\)"),
        (
            lambda x: priors.patch_energy(np.ones((2, 4)), x, 2, -1),
            ValueError,
            "^penalty is -1: take a number",
        ),
        (lambda x: priors.patch_energy(np.ones((2, 4)), x, 2, 1, steps=0), ValueError, "^steps is 0: take a"),
        (lambda x: priors.jitter(jax.random.key(0), x, -1), ValueError, "^pixels is -1: take a whole number"),
        (lambda x: priors.jitter(0, x, 1), TypeError, "^key is 0: take one random key"),
    ],
)
def test_what_cannot_be_used(own_errors, call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((4, 4, 1), np.float32))
