"""Rows of the table of examples: dynamics along a training."""

from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.core.dtypes import real_arrays
from jaxtheory.landscape import dynamics
from jaxtheory.landscape.curvature import Matrix
from jaxtheory.landscape.dynamics import eigenvalue, noise, recording
from tests.example_rows import ONE_MODEL, Example, float32

ITS_OWN_DTYPE = "the loss is the caller's, and computes in the dtype of its parameters"
NOT_WHOLE = "gradients are taken of parameters in floating point only"


def _loss(params, batch):
    x, y = batch
    return jnp.mean((jnp.tanh(x @ params) - y) ** 2)


@wraps(eigenvalue.sharpness)
def _sharpness(factor, start, **options):
    (factor,), _ = real_arrays(factor=factor)
    return dynamics.sharpness(Matrix(jnp.matmul(factor, factor.T, precision="highest")), start, **options)


@wraps(noise.gradient_noise)
def _noise(params, data, **options):
    return dynamics.gradient_noise(_loss, params, data, **options)


@wraps(recording.probe)
def _measured(params, data, **options):
    init, measure = dynamics.probe(_loss, **options)
    return measure(init(params, jax.random.key(0)), params, data)[1]


def _arguments(rng):
    return float32(rng, 5), (float32(rng, 4, 3, 5), float32(rng, 4, 3))


def _two_sums(rng):
    """Traces and squared norms at six moments, all positive."""
    return np.float32(rng.uniform(0.5, 2, 6)), np.float32(rng.uniform(0.5, 2, 6))


EXAMPLES: list[Example] = [
    Example(
        _sharpness,
        lambda rng: (float32(rng, 5, 5), float32(rng, 5)),
        {"steps": 3},
        leading=(1,),
        differentiable=(0, 1),
        vmap="one start at a time",
        half="an operator gives products in the dtype of its matrix",
        export=True,
        tolerance=1e-4,
    ),
    Example(
        _noise,
        _arguments,
        {"chunk": 2},
        vmap=ONE_MODEL,
        integer=NOT_WHOLE,
        half=ITS_OWN_DTYPE,
        export=True,
    ),
    Example(
        noise.noise_of_norms,
        lambda rng: (float32(rng, 3) ** 2 + 1, float32(rng, 3) ** 2),
        {"small_size": 2, "large_size": 8},
        leading=(0, 1),
    ),
    Example(noise.noise_scale, _two_sums, leading=(0, 1)),
    Example(noise.noise_scale, _two_sums, {"window": 3}, leading=(0, 1), name="window"),
    Example(
        _measured,
        _arguments,
        {"steps": 3},
        vmap=ONE_MODEL,
        grad="what is measured along a training is not differentiated",
        x64="the Lanczos steps start at a draw, which is another in double precision",
        integer=NOT_WHOLE,
        half=ITS_OWN_DTYPE,
        export=True,
        tolerance=1e-4,
    ),
]

NOT_TRACED: dict[str, str] = {}
