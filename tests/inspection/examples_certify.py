"""Rows of the table of examples: certificates."""

from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.inspection import certify
from tests.example_rows import Example, float32

OF_MARGINS = "it is where margins are positive; that row takes them through this form"


def _network(rng):
    """A convolution, a dense layer, an image and epsilon."""
    convolution = certify.Convolution(float32(rng, 2, 2, 1, 2), float32(rng, 2), strides=2)
    dense = float32(rng, 8, 3), float32(rng, 3)
    return [convolution, dense], float32(rng, 4, 4), np.float32(rng.uniform(0.05, 0.2))


def _with_label(rng):
    layers, x, epsilon = _network(rng)
    # A label of 64 bits is no sample of whole numbers that floats could replace.
    return layers, x, np.int64(1), epsilon


def _sides(params, x):
    w = params["w"]
    return jnp.stack([x @ w, -(x @ w)], axis=-1)


@wraps(certify.smooth)
def _smooth(params, x, key, noise):
    return certify.smooth(_sides, params, x, key, noise=noise, samples=20, delta=0.1)


EXAMPLES: list[Example] = [
    Example(certify.interval, _network, None, (1, 2), differentiable=(0, 1, 2)),
    Example(certify.margins, _with_label, None, (1, 3), differentiable=(0, 1, 3)),
    Example(
        certify.certified, _with_label, None, (1, 3), vmap=OF_MARGINS, grad=OF_MARGINS, x64=OF_MARGINS,
        integer=OF_MARGINS, half=OF_MARGINS,
    ),
    Example(
        _smooth,
        lambda rng: ({"w": float32(rng, 3)}, float32(rng, 2, 3), jax.random.key(0), np.float32(0.5)),
        None, (1,),
        vmap="inputs lie on one leading axis, as any others may be axes of an input",
        grad="votes are piecewise constant", x64="the same key gives other numbers in double precision",
        half="a certificate is not rounded: its radius stays in single precision",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {
    "inspection.certify.relu_layers.layers_of": "rearranges parameters; tests/inspection trains through it",
}
