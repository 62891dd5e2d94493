"""Multilayer ISTA against Flax, dense matrices and the paper's counts."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory import networks
from jaxtheory.networks.cnn import CNN
from jaxtheory.sparse.unrolled import unfolding

SMALL = {"atoms": (3, 4), "kernel_size": (3, 2), "strides": (2, 1), "outputs": 5}


def scattered(params, rng):
    """The parameters with biases and step sizes of all values."""
    return replace(
        params,
        biases=tuple(0.1 * rng.standard_normal(one.shape) for one in params.biases),
        step_sizes=tuple(rng.uniform(0.3, 0.9) for _ in params.step_sizes),
    )


def dense_convolution(filters, stride, size):
    """The matrix of a strided convolution without padding, (outputs, inputs), and its output's size."""
    height, width, channels, atoms = filters.shape
    out = tuple((n - k) // stride + 1 for n, k in zip(size, (height, width)))
    matrix = np.zeros((*out, atoms, *size, channels))
    for p, q in np.ndindex(*out):
        for i, j in np.ndindex(height, width):
            matrix[p, q, :, p * stride + i, q * stride + j] = filters[i, j].T
    return matrix.reshape(np.prod(out) * atoms, -1), out


@pytest.mark.parametrize("unfoldings", [0, 2, 6])
@pytest.mark.parametrize("accelerated", [False, True])
def test_the_network_for_mnist_has_the_papers_number_of_parameters(unfoldings, accelerated):
    params = jax.eval_shape(
        partial(unfolding.init, shape=(28, 28), unfoldings=unfoldings, accelerated=accelerated),
        jax.random.key(0),
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 604_909
    assert [leaf.shape for leaf in params.step_sizes] == [()] * 3


def test_without_unfoldings_it_is_the_network_of_flax(rng, x64):
    params = scattered(unfolding.init(jax.random.key(0), (9, 10), unfoldings=0, **SMALL), rng)
    params = replace(params, step_sizes=(1.0, 1.0))
    network = networks.functional(
        partial(
            CNN,
            (9, 10),
            SMALL["atoms"],
            kernel_size=(3, 2),
            strides=(2, 1),
            window=1,
            boundary=None,
            head=(5,),
            dtype=float,
            precision="highest",
        )
    )
    layers = {
        str(i): {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
        for i, (kernel, bias) in enumerate(zip(params.filters, params.biases))
    }
    head = {"layers": {"0": {"kernel": params.weights, "bias": params.offsets}}}
    x = rng.standard_normal((4, 9, 10))
    expected, _ = network.apply({"convolutions": layers, "head": head}, network.init(jax.random.key(0))[1], x)
    np.testing.assert_allclose(unfolding.apply(params, x), expected, rtol=1e-12, atol=1e-14)
    assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("accelerated", [False, True])
def test_unfoldings_against_dense_matrices(accelerated, rng, x64):
    # Ten columns: the stride leaves one over at the border.
    params = unfolding.init(
        jax.random.key(0), (9, 10), unfoldings=3, accelerated=accelerated, scale=1.0, **SMALL
    )
    params = scattered(params, rng)
    W1, size = dense_convolution(np.asarray(params.filters[0]), 2, (9, 10))
    W2, size = dense_convolution(np.asarray(params.filters[1]), 1, size)
    b1, b2 = (np.tile(b, W.shape[0] // len(b)) for b, W in zip(params.biases, (W1, W2)))
    c1, c2 = params.step_sizes
    images = rng.standard_normal((4, 9, 10))
    x = images.reshape(4, -1).T
    b1, b2 = b1[:, None], b2[:, None]
    g1 = np.maximum(c1 * W1 @ x + b1, 0)
    g2 = np.maximum(c2 * W2 @ g1 + b2, 0)
    before, t, expected = g2, 1.0, [g2]
    for _ in range(3):
        # As the authors' program has it.
        t, last = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
        z = g2 + (last - 1) / t * (g2 - before) if accelerated else g2
        before = g2
        down = W2.T @ z
        g1 = np.maximum(down - c1 * W1 @ (W1.T @ down - x) + b1, 0)
        g2 = np.maximum(z - c2 * W2 @ (W2.T @ z - g1) + b2, 0)
        expected.append(g2)
    expected = np.stack([one.T.reshape(4, *size, 4) for one in expected])
    assert np.abs(expected[3] - expected[2]).max() > 0.01
    found = unfolding.encode(params, images, iterates=True)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(unfolding.encode(params, images), expected[-1], rtol=1e-10, atol=1e-12)
    logits = expected.reshape(4, 4, -1) @ np.asarray(params.weights) + params.offsets
    np.testing.assert_allclose(unfolding.apply(params, images, iterates=True), logits, rtol=1e-10, atol=1e-12)


def test_layers_hold_what_init_promises():
    params = unfolding.init(jax.random.key(0), (28, 28), unfoldings=1)
    for filters, fan_in in zip(params.filters, (36, 36 * 32, 16 * 64)):
        assert filters.std() == pytest.approx(0.1 / np.sqrt(fan_in), rel=0.1)
    assert np.abs(params.weights).max() <= 1 / np.sqrt(512)
    assert np.abs(params.weights).max() > 0.99 / np.sqrt(512)
    again = unfolding.init(jax.random.key(0), (28, 28), unfoldings=6, accelerated=True)
    for one, other in zip(jax.tree.leaves(params), jax.tree.leaves(again)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.beyond
def test_remat_changes_no_derivative(rng):
    params = unfolding.init(jax.random.key(0), (9, 10), unfoldings=3, accelerated=True, scale=1.0, **SMALL)
    x = np.float32(rng.standard_normal((4, 9, 10)))
    plain, kept = (
        jax.grad(lambda params, remat=remat: jnp.sum(unfolding.apply(params, x, remat=remat) ** 2))(params)
        for remat in (False, True)
    )
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(kept)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(one).max())
        assert np.abs(one).max() > 0


def test_errors(own_errors):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"shape is \(28,\): take \(H, W\) or \(H, W, channels\)"):
        unfolding.init(key, (28,), unfoldings=1)
    with pytest.raises(ValueError, match=r"strides \(2, 2\): take one number of each for each layer"):
        unfolding.init(key, (28, 28), unfoldings=1, strides=(2, 2))
    with pytest.raises(ValueError, match="strides is 0: take a whole number at least 1"):
        unfolding.init(key, (28, 28), unfoldings=1, strides=(2, 0, 1))
    with pytest.raises(ValueError, match="unfoldings is -1: take a whole number at least 0"):
        unfolding.init(key, (28, 28), unfoldings=-1)
    with pytest.raises(ValueError, match=r"scale is 0.0: take a positive number"):
        unfolding.init(key, (28, 28), unfoldings=1, scale=0.0)
    with pytest.raises(ValueError, match=r"shape is \(20, 28\), too small for the filters of layer 3"):
        unfolding.init(key, (20, 28), unfoldings=1)
    with pytest.raises(TypeError, match="key is 0: take one random key"):
        unfolding.init(0, (28, 28), unfoldings=1)
    params = unfolding.init(key, (28, 28), unfoldings=1)
    with pytest.raises(ValueError, match=r"x has the shape \(5, 28, 27\): take \(\.\.\., 28, 28\)"):
        unfolding.apply(params, np.ones((5, 28, 27)))
