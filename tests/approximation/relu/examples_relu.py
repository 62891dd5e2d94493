"""Rows of the table of examples: exact ReLU networks."""

import jax
import numpy as np

from jaxtheory.approximation import relu
from tests.example_rows import Example, float32

MADE_ONCE = "makes a network, once, in NumPy and in double precision"


def _network(rng):
    """A product network in single precision, and points on which it is applied."""
    return jax.tree.map(np.float32, relu.product(3)), np.float32(rng.uniform(-0.9, 0.9, (2,)))


def _dense(rng):
    """A network of random weights, none of which is zero."""
    kernels, biases = (float32(rng, 2, 5), float32(rng, 5, 1)), (float32(rng, 5), float32(rng, 1))
    return relu.Network(kernels, biases), float32(rng, 2)


EXAMPLES: list[Example] = [
    Example(relu.apply, _network, leading=(1,), name="product"),
    Example(
        relu.apply,
        _dense,
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="dense",
    ),
]

NOT_TRACED: dict[str, str] = {
    f"approximation.relu.{module}.{name}": MADE_ONCE
    for module, names in {
        "calculus": "add affine compose identity pad parallel",
        "localized": "affine_system box half_space horizon interpolant linear_wavelet partition_of_unity",
        "network": "from_mlp to_mlp",
        "polynomials": "monomial polynomial product sawtooth square",
        "quantization": "quantize",
    }.items()
    for name in names.split()
} | {"approximation.relu.network.size": "counts weights that are not zero, by their values"}
