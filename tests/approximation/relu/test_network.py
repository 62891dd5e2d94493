"""Networks as parameters: how they are applied, counted, exchanged and refused."""

from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx

from jaxtheory.approximation import relu
from jaxtheory.networks.mlp import MLP


def test_a_network_is_an_mlp(rng):
    module = MLP((3, 5, 4, 2), nnx.Rngs(0), bias_variance=1.0, precision="highest")
    params = nnx.to_pure_dict(nnx.state(module))
    network = relu.from_mlp(
        jax.tree.map(np.asarray, {"layers": {str(k): v for k, v in params["layers"].items()}})
    )
    x = np.float32(rng.standard_normal((6, 3)))
    np.testing.assert_allclose(relu.apply(network, x), module(x), rtol=1e-5, atol=1e-6)
    again = relu.from_mlp(relu.to_mlp(network))
    jax.tree.map(np.testing.assert_array_equal, again.kernels, network.kernels)
    assert again.widths == (3, 5, 4, 2)
    assert relu.size(network) == (3, 9, 3 * 5 + 5 * 4 + 4 * 2 + 11)
    without = relu.from_mlp({"layers": {"0": {"kernel": np.ones((2, 3))}}})
    np.testing.assert_array_equal(without.biases[0], np.zeros(3))


def test_numbers_are_what_numpy_computes(rng, x64):
    kernels = [rng.standard_normal(shape) for shape in ((2, 4), (4, 3), (3, 1))]
    biases = [rng.standard_normal(size) for size in (4, 3, 1)]
    x = expected = rng.standard_normal((5, 2))
    for kernel, bias in zip(kernels[:-1], biases[:-1]):
        expected = np.maximum(expected @ kernel + bias, 0)
    expected = expected @ kernels[-1] + biases[-1]
    found = relu.apply(relu.Network(tuple(kernels), tuple(biases)), x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_only_what_is_not_zero_is_counted():
    kernels = (np.array([[1.0, 0.0]]), np.array([[2.0], [0.0]]))
    network = relu.Network(kernels, (np.array([0.0, 3.0]), np.zeros(1)))
    assert relu.size(network) == relu.Size(layers=2, neurons=2, weights=3)


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    make = partial(relu.Network)
    with pytest.raises(ValueError, match=r"kernels\[1\] has the shape \(2, 1\): take \(3, outputs\)"):
        make((np.ones((1, 3)), np.ones((2, 1))), (np.ones(3), np.ones(1)))
    with pytest.raises(ValueError, match=r"biases\[0\] has the shape \(2,\): take \(3,\)"):
        make((np.ones((1, 3)),), (np.ones(2),))
    with pytest.raises(ValueError, match="biases holds 0 for 1 kernels: take one for each"):
        make((np.ones((1, 3)),), ())
    with pytest.raises(ValueError, match="biases holds 0 for 0 kernels"):
        make((), ())
    with pytest.raises(TypeError, match="kernels holds complex numbers: take real ones"):
        make((np.ones((1, 3), complex),), (np.ones(3),))
    with pytest.raises(ValueError, match=r"x has the shape \(4,\): take \(..., 2\)"):
        relu.apply(relu.product(2), np.ones(4))
    with pytest.raises(ValueError, match="params are others than an MLP's: take"):
        relu.from_mlp({"layers": {"1": {"kernel": np.ones((1, 1))}}})
    with pytest.raises(ValueError, match="params are others than an MLP's: take"):
        relu.from_mlp({"weights": 1})


@pytest.mark.usefixtures("own_errors")
def test_accuracies_beyond_the_dtype_are_refused():
    with pytest.raises(
        ValueError, match=r"levels is 11: the accuracy 2\*\*-24 cannot be expressed in float32"
    ):
        relu.square(11)
    with pytest.raises(ValueError, match=r"take at most 10, or turn on x64: jax\.config\.update"):
        relu.monomial((2,), 13)
    with pytest.raises(ValueError, match="cannot be expressed in float32"):
        relu.product(11)
    with pytest.raises(TypeError, match=r"levels is 2\.5: take a whole number at least 1"):
        relu.square(2.5)
    with jax.enable_x64(True):
        assert relu.square(25).error == 2.0**-52
        with pytest.raises(
            ValueError, match=r"levels is 26: .* cannot be expressed in float64: take at most 25$"
        ):
            relu.square(26)
