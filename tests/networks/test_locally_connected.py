"""Locally connected networks against convolutional ones with equal kernels, and against sums written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxtheory import networks
from jaxtheory.networks import convolution
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.locally_connected import LocallyConnected, unshared


@pytest.mark.parametrize(("strides", "sides"), [(1, (3, 2)), (2, (3, 3)), (3, (2, 5))])
def test_equal_kernels_are_a_convolution(strides, sides, rng):
    x, kernel = np.float32(rng.standard_normal((2, 7, 6, 2))), np.float32(rng.standard_normal((*sides, 2, 3)))
    expected = convolution.convolve(x, kernel, strides=strides)
    kernels = np.broadcast_to(kernel, (*expected.shape[1:3], *kernel.shape))
    np.testing.assert_allclose(unshared(x, kernels, strides=strides), expected, rtol=1e-5, atol=1e-5)


def test_each_place_has_its_kernel(rng):
    x, kernels = rng.standard_normal((4, 4, 2)), rng.standard_normal((2, 2, 3, 3, 2, 1))
    found = np.asarray(unshared(x, kernels, strides=2))
    padded = np.pad(x, ((0, 1), (0, 1), (0, 0)))  # of one pixel in all, the border at the end gets it
    for row in range(2):
        for column in range(2):
            square = padded[2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected = np.sum(square * kernels[row, column, ..., 0])
            assert found[row, column, 0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.beyond
def test_with_equal_weights_it_is_the_convolutional_network(rng, x64):
    options = {"head": (3,), "kernel_size": (3, 2), "strides": (2, 1), "bias_variance": 0.1}
    shared = networks.functional(partial(CNN, (6, 5), (2, 4), window=1, **options))
    local = networks.functional(partial(LocallyConnected, (6, 5), (2, 4), **options))
    params = shared.init(jax.random.key(0))[0]
    like = local.init(jax.random.key(1))[0]
    assert like["layers"]["1"]["kernel"].shape == (3, 3, 2, 2, 2, 4)
    layers = jax.tree.map(
        lambda one, leaf: jnp.broadcast_to(leaf, one.shape), like["layers"], params["convolutions"]
    )
    x = rng.standard_normal((2, 1, 6, 5))
    found = local.apply({"layers": layers, "head": params["head"]}, {}, x)[0]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, shared.apply(params, {}, x)[0], rtol=1e-10)


def test_variances_at_the_start():
    module = LocallyConnected((8, 8, 3), (20,), nnx.Rngs(0), head=(2,), kernel_size=4, weight_variance=1.5)
    weights = module.layers[0].kernel[...]
    assert abs(48 * float(weights.var()) / 1.5 - 1) < 4 * np.sqrt(2 / weights.size)


def build(**options):
    return LocallyConnected((8, 8), **{"channels": (2, 3), "rngs": nnx.Rngs(0), "head": (4,)} | options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build(channels=()), r"^channels are \(\): take the number of maps of at least one layer$"),
        (lambda: build(head=()), r"^head is \(\): take the number of outputs, or more widths before it$"),
        (lambda: build(strides=0), "^strides is 0: take a whole number at least 1$"),
        (lambda: build(activation="rleu"), "^activation is 'rleu': take one of relu"),
        (lambda: build()(np.ones((2, 8, 9))), r"^x has the shape \(2, 8, 9\): take \(\.\.\., 8, 8\) for"),
        (
            lambda: unshared(np.ones((4, 4, 1)), np.ones((2, 4, 3, 3, 1, 1))),
            r"^kernels has the shape \(2, 4, 3, 3, 1, 1\): take \(4, 4, height, width, 1, outputs\) for",
        ),
        (lambda: unshared(np.ones((4, 1)), np.ones((4, 4, 3, 3, 1, 1))), r"^x has the shape \(4, 1\): take"),
    ],
)
def test_errors(make, message, own_errors):
    with pytest.raises(ValueError, match=message):
        make()
