"""Kernels of infinitely wide convolutional networks against dense ones, symmetries and finite networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.statistics import neural_kernel
from tests.statistics.neural_kernel import networks

VARIANCES = {"weight_variance": 1.7, "bias_variance": 0.2}


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_one_convolution_is_a_dense_layer_on_patches(activation, rng, x64):
    x, y = rng.standard_normal((2, 3, 4, 2)), rng.standard_normal((1, 3, 4, 2))

    def patches(image):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
        return np.array([padded[i : i + 3, j : j + 3].ravel() for i in range(3) for j in range(4)])

    found = neural_kernel.convolutional(x, y, 1, activation=activation, **VARIANCES)
    dense = getattr(neural_kernel, activation)
    for row, image in enumerate(x):
        expected = dense(patches(image), patches(y[0]), 1, **VARIANCES)
        np.testing.assert_allclose(found.nngp[row, 0], np.mean(expected.nngp), rtol=1e-12)
        np.testing.assert_allclose(found.ntk[row, 0], np.mean(expected.ntk), rtol=1e-12)


@pytest.mark.beyond
def test_images_of_one_pixel_are_points_and_periodic_images_have_no_place(rng, x64):
    x, y = rng.standard_normal((3, 1, 1, 4)), rng.standard_normal((2, 1, 1, 4))
    found = neural_kernel.convolutional(x, y, 3, kernel_size=1, **VARIANCES)
    expected = neural_kernel.relu(x[:, 0, 0], y[:, 0, 0], 3, **VARIANCES)
    np.testing.assert_allclose(found.ntk, expected.ntk, rtol=1e-12)
    image = rng.standard_normal((1, 4, 3, 1))
    moved = np.concatenate([image, np.roll(image, (1, 2), (1, 2))])
    periodic = neural_kernel.convolutional(moved, moved, 2, boundary="periodic")
    np.testing.assert_allclose(periodic.ntk, np.full((2, 2), periodic.ntk[0, 0]), rtol=1e-12)
    zero = neural_kernel.convolutional(moved, moved, 2)
    assert abs(zero.ntk[1, 1] / zero.ntk[0, 0] - 1) > 0.01


@pytest.mark.beyond
def test_finite_networks_by_monte_carlo(rng):
    x = np.float32(rng.standard_normal((2, 3, 3, 2)))
    width, outputs, draws = 64, 4, 64
    form = ("NHWC", "HWIO", "NHWC")

    def apply(params, x):
        for weights, bias in params[:-1]:
            maps = jax.lax.conv_general_dilated(x, weights, (1, 1), "SAME", dimension_numbers=form)
            scale = jnp.sqrt(VARIANCES["weight_variance"] / np.prod(weights.shape[:3]))
            x = jax.nn.relu(scale * maps + jnp.sqrt(VARIANCES["bias_variance"]) * bias)
        last = networks.standard(jax.nn.relu, VARIANCES["weight_variance"], VARIANCES["bias_variance"])
        return last(params[-1:], jnp.mean(x, (1, 2)))

    def draw(key):
        shapes = [(3, 3, 2, width), (width,), (3, 3, width, width), (width,), (width, outputs), (outputs,)]
        keys = jax.random.split(key, len(shapes))
        flat = [jax.random.normal(one, shape) for one, shape in zip(keys, shapes)]
        return neural_kernel.empirical(apply, list(zip(flat[::2], flat[1::2])), x) / outputs

    found = np.asarray(jax.lax.map(draw, jax.random.split(jax.random.key(0), draws)))
    expected = neural_kernel.convolutional(x, x, 2, **VARIANCES).ntk
    error = found.std(0, ddof=1) / np.sqrt(draws)
    assert np.all(np.abs(found.mean(0) - expected) < 4 * error + 4 / width * np.abs(expected))
    assert np.max(error) < 0.05 * np.max(expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": np.ones((3, 4, 1))}, r"x has the shape \(3, 4, 1\): take \(n, H, W, C\)"),
        ({"y": np.ones((1, 3, 3, 1))}, r"y has the shape \(1, 3, 3, 1\): take \(m, 3, 4, 1\)"),
        ({"x": np.ones((0, 3, 4, 1))}, "take at least one image with pixels"),
        ({"activation": "tanh"}, "activation is 'tanh': take 'relu' or 'erf'"),
        ({"boundary": "reflect"}, "boundary is 'reflect': take 'zero' or 'periodic'"),
        ({"kernel_size": 2}, "kernel_size is 2: take an odd number"),
    ],
)
def test_errors(changed, message, own_errors):
    images = np.ones((2, 3, 4, 1))
    with pytest.raises(ValueError, match=message):
        neural_kernel.convolutional(**({"x": images, "y": images, "depth": 1} | changed))
