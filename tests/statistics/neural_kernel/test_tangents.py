"""The tangent kernel of networks at hand against dense Jacobians, and what is computed on the way."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory import networks
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.mlp import MLP
from jaxtheory.statistics import neural_kernel
from jaxtheory.statistics.neural_kernel import layered
from tests.statistics.neural_kernel.networks import jacobian_kernel


def perceptron(*widths, **options):
    """A network of this package, as a plain function with its parameters."""
    network = networks.functional(partial(MLP, widths, bias_variance=1.0, **options))
    return training.predictor(network.apply), network.init(jax.random.key(0))[0]


def mixed(params, x):
    """Weights that are scaled, transposed, shared, normalized, within a call, or of no use."""
    h = jnp.tanh(x @ (0.5 * params["scaled"]) / 3)
    h = jnp.tanh(h @ params["transposed"].T)
    h = h @ params["shared"]
    h = jnp.tanh(h) @ params["shared"]
    h = jax.checkpoint(lambda weights, h: jnp.sin(h @ weights))(params["within"], h)
    direction = params["normalized"] / jnp.linalg.norm(params["normalized"])
    factor = jnp.exp(params["factor"]) * jnp.sum(x, axis=1, keepdims=True)
    return h @ (params["traced"] * params["length"]) + factor * (h @ direction)


def parameters(rng):
    shapes = {
        "scaled": (4, 5), "transposed": (3, 5), "shared": (3, 3), "within": (3, 4), "normalized": (4, 2),
        "factor": (), "traced": (4, 2), "length": (), "unused": (7,),
    }  # fmt: skip
    return {name: jnp.asarray(rng.standard_normal(shape)) for name, shape in shapes.items()}


def agree(apply, params, x, y, *ways):
    """Holds the kernel in several ways against that of dense Jacobians."""
    expected = jacobian_kernel(apply, params, x, y)
    for way in ways:
        found = neural_kernel.empirical(apply, params, x, y, **way)
        whole = expected if way.get("outputs") == "full" else np.trace(expected, axis1=2, axis2=3)
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12 * np.abs(whole).max())


TRACE, FULL = {}, {"outputs": "full"}


def test_a_perceptron_by_its_layers(rng, x64):
    apply, params = perceptron(4, 6, 5, 3)
    x, y = rng.standard_normal((5, 4)), rng.standard_normal((2, 4))
    network = layered.trace(apply, params, jnp.asarray(x[0]), layered=True)
    assert [(layer.positions, layer.outputs) for layer in network.layers.values()] == [(1, 6), (1, 5), (1, 3)]
    assert network.rest_size() == 6 + 5 + 3
    agree(apply, params, x, y, TRACE)


def test_weights_are_found_in_any_program_and_the_others_left(rng, x64):
    params, x = parameters(rng), rng.standard_normal((3, 4))
    network = layered.trace(mixed, params, jnp.asarray(x[0]), layered=True)
    names = sorted(params)
    assert {names[layer.leaf] for layer in network.layers.values()} == {"scaled", "transposed", "traced"}
    assert {names[leaf] for leaf in network.rest} == {"shared", "within", "normalized", "factor", "length"}
    agree(mixed, params, x, x[:2], FULL)


@pytest.mark.beyond
def test_every_way_and_block_gives_the_same(rng, x64):
    params, x = parameters(rng), rng.standard_normal((5, 4))
    ways = [TRACE, {"method": "jacobian"}, {"method": "products", "block": 2}, {"block": 2}]
    agree(mixed, params, x, x[:3], *ways, *(FULL | way for way in ways[1:]))
    own = neural_kernel.empirical(mixed, params, x)
    np.testing.assert_allclose(own, neural_kernel.empirical(mixed, params, x, x), rtol=1e-12)


@pytest.mark.beyond
def test_a_convolutional_network_and_one_output_without_an_axis(rng, x64):
    network = networks.functional(partial(CNN, (6, 6), (3, 4), head=(5, 2)))
    params = network.init(jax.random.key(0))[0]
    images = rng.standard_normal((3, 6, 6))
    apply = training.predictor(network.apply)
    found = layered.trace(apply, params, jnp.asarray(images[0]), layered=True).layers.values()
    assert [(layer.positions, layer.outputs) for layer in found] == [(36, 3), (9, 4), (1, 5), (1, 2)]
    agree(apply, params, images, images[:2], TRACE, FULL)

    # Channels in front, strides, holes and a border of its own, and a kernel that is scaled and turned.
    def strided(kernel, x):
        kernel = jnp.transpose(kernel * 0.3, (3, 2, 0, 1))
        options = {"rhs_dilation": (1, 2), "dimension_numbers": ("NCHW", "OIHW", "NHWC")}
        maps = jax.lax.conv_general_dilated(x[:, None], kernel, (2, 1), [(1, 0), (0, 2)], **options)
        return jnp.sum(jnp.tanh(maps), axis=(1, 2))

    agree(strided, jnp.asarray(rng.standard_normal((3, 2, 1, 2))), images, images[:2], FULL)

    def embedded(params, x):
        return jnp.sum(jnp.tanh(params["table"][x]) @ params["last"], axis=1)

    words = rng.integers(0, 5, (4, 3))
    tables = {"table": jnp.asarray(rng.standard_normal((5, 2))), "last": jnp.asarray(rng.standard_normal(2))}
    agree(embedded, tables, words, words[:2], TRACE, FULL)


def test_no_gradient_of_a_layer_is_formed():
    apply, params = perceptron(300, 400, 10)
    x = jax.ShapeDtypeStruct((20, 300), np.float32)
    program = jax.jit(lambda params, x: neural_kernel.empirical(apply, params, x))
    memory = program.lower(params, x).compile().memory_analysis()
    jacobian = 4 * 20 * 10 * 300 * 400
    assert memory.temp_size_in_bytes < jacobian / 10


@pytest.mark.beyond
def test_products_are_taken_where_they_are_fewer():
    # One shared vector and many outputs: a linearized pass takes far less than a row of the contraction.
    def apply(params, x):
        return jnp.tanh(x * params) * params

    params, x = jnp.ones(200), jnp.ones((3, 200))
    network = layered.trace(apply, params, x[0], layered=True)
    assert network.operations() == 0
    program = jax.jit(lambda x: neural_kernel.empirical(apply, params, x, outputs="full"))
    assert "dot_general" not in program.lower(x).as_text()
    expected = jacobian_kernel(apply, params, x, x)
    np.testing.assert_allclose(program(x), expected, atol=1e-5)


def test_operations_are_counted_of_products_and_convolutions():
    network = networks.functional(partial(CNN, (10, 10), (3, 4), head=(10,), boundary=None))
    apply, params = training.predictor(network.apply), network.init(jax.random.key(0))[0]
    image = jax.ShapeDtypeStruct((10, 10), np.float32)
    counted = layered.trace(apply, params, image, layered=False).operations()
    # Pixels, offsets and channels of two convolutions, and the layer after them.
    assert counted == 2 * (64 * 9 * 3 + 4 * 9 * 3 * 4 + 4 * 10)
    scanned = layered.trace(
        lambda w, x: jax.lax.map(lambda row: row * w, x), jnp.ones(()), image, layered=True
    )
    assert scanned.operations() == np.inf


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"apply": 3}, TypeError, "apply is a int: take a function of parameters and examples"),
        ({"params": {}}, ValueError, "params holds no array"),
        ({"params": np.ones((3, 2), int)}, TypeError, "params is int64: take real floating-point parameters"),
        ({"x": np.ones((0, 3))}, ValueError, r"x has the shape \(0, 3\): take at least one example"),
        ({"y": np.ones((2, 4))}, ValueError, r"y has the shape \(2, 4\): take examples of the shape \(3,\)"),
        ({"outputs": "sum"}, ValueError, "outputs is 'sum': take 'trace' or 'full'"),
        ({"method": "fast"}, ValueError, "method is 'fast': take 'auto', 'jacobian' or 'products'"),
        ({"block": 0}, ValueError, "block is 0: take a whole number at least 1"),
        (
            {"apply": lambda w, x: [x @ w]},
            TypeError,
            "apply gives a list: take one array",
        ),
        ({"apply": lambda w, x: jnp.sum(x @ w)}, ValueError, r"apply gives the shape \(\) for 2 examples"),
        ({"apply": lambda w, x: x @ w > 0}, TypeError, "apply gives bool: take a network whose outputs"),
    ],
)
def test_errors(changed, error, message, own_errors):
    arguments = {"apply": jnp.matmul, "params": np.ones((3, 2), np.float32), "x": np.ones((2, 3))} | changed
    if arguments["apply"] is jnp.matmul:
        arguments["apply"] = lambda weights, x: x @ weights
    with pytest.raises(error, match=message):
        neural_kernel.empirical(**arguments)
