"""The multilayer perceptron against dense algebra written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from flax import nnx

from jaxtheory import networks
from jaxtheory.networks.mlp import ACTIVATIONS, MLP, activation_function

CLOSED_FORMS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x * scipy.special.expit(x),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "erf": scipy.special.erf,
    "sin": np.sin,
    "identity": lambda x: x,
}


@pytest.mark.parametrize("activation", CLOSED_FORMS)
def test_named_activations(activation, x64):
    x = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(activation_function(activation)(x), CLOSED_FORMS[activation](x), atol=1e-12)


def test_every_named_activation_is_tested():
    assert CLOSED_FORMS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("bias", [True, False])
def test_forward_is_dense_algebra(bias, rng, x64):
    make = partial(MLP, (4, 7, 5, 3), activation="tanh", bias=bias, bias_variance=0.5 * bias)
    init, apply = networks.functional(make)
    params, state = init(jax.random.key(0))
    assert state == {}
    x = rng.standard_normal((2, 6, 4))
    y = x
    for number in "012":
        layer = params["layers"][number]
        assert layer.keys() == ({"kernel", "bias"} if bias else {"kernel"})
        y = y @ np.asarray(layer["kernel"]) + (np.asarray(layer["bias"]) if bias else 0)
        y = np.tanh(y) if number != "2" else y
    actual = apply(params, state, x)[0]
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, y, rtol=1e-12)
    np.testing.assert_allclose(apply(params, state, x[0, 0])[0], y[0, 0], rtol=1e-12)


def test_a_function_as_activation(rng):
    module = MLP((3, 4, 2), nnx.Rngs(0), activation=lambda x: jnp.maximum(jnp.abs(x) - 0.1, 0))
    x = np.float32(rng.standard_normal((5, 3)))
    first, last = (np.asarray(layer.kernel[...]) for layer in module.layers)
    np.testing.assert_allclose(module(x), np.maximum(np.abs(x @ first) - 0.1, 0) @ last, rtol=1e-4, atol=1e-5)


def test_variances_at_the_start():
    module = MLP((400, 500, 300), nnx.Rngs(0), weight_variance=1.5, bias_variance=0.3)
    for layer, inputs in zip(module.layers, (400, 500)):
        weights, biases = layer.kernel[...], layer.bias[...]
        # The variance of n Gaussian numbers has relative standard deviation sqrt(2 / n): four of them.
        assert abs(inputs * weights.var() / 1.5 - 1) < 4 * np.sqrt(2 / weights.size)
        assert abs(biases.var() / 0.3 - 1) < 4 * np.sqrt(2 / biases.size)
    plain = MLP((400, 500), nnx.Rngs(0))
    np.testing.assert_array_equal(plain.layers[0].bias[...], 0)


def test_second_moments_stay_through_relus(rng):
    module = MLP((1000,) * 6, nnx.Rngs(0))
    x = np.float32(rng.standard_normal((200, 1000)))
    assert abs(np.mean(np.square(module(x))) / np.mean(np.square(2**0.5 * x)) - 1) < 0.15


def test_dtype_and_precision():
    init, apply = networks.functional(partial(MLP, (3, 2), dtype=jnp.bfloat16, precision="highest"))
    params, state = init(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("bfloat16")}
    program = jax.make_jaxpr(apply)(params, state, jnp.ones(3))
    assert "Precision.HIGHEST" in str(program)
    with jax.enable_x64(True):
        assert MLP((3, 2), nnx.Rngs(0)).layers[0].kernel[...].dtype == np.float64


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: MLP((3, 2), nnx.Rngs(0), activation="rleu"),
            "^activation is 'rleu': take one of relu,",
        ),
        (
            lambda: MLP((3,), nnx.Rngs(0)),
            r"^features are \(3,\): take at least two, the width of",
        ),
        (lambda: MLP((3, 0, 2), nnx.Rngs(0)), "^features is 0: take a whole number at least 1$"),
        (lambda: MLP((3, 2), nnx.Rngs(0), weight_variance=0.0), r"^weight_variance is 0\.0: take a positive"),
        (lambda: MLP((3, 2), nnx.Rngs(0), bias_variance=-1.0), r"^bias_variance is -1\.0: take a number of"),
        (
            lambda: MLP((3, 2), nnx.Rngs(0))(np.ones((5, 4))),
            r"^x has the shape \(5, 4\): take \(\.\.\., 3\)",
        ),
        (lambda: MLP((3, 2), nnx.Rngs(0))(np.float64(1)), r"^x has the shape \(\): take \(\.\.\., 3\) for"),
    ],
)
def test_errors(build, message, own_errors):
    with pytest.raises(ValueError, match=message):
        build()
