"""Rows of the table of examples: curvature operators, each as the product that it gives."""

from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.core.dtypes import real_arrays
from jaxtheory.landscape import curvature
from jaxtheory.landscape.curvature import batches, gradients, hessians, outputs
from tests.example_rows import Example, float32

ITS_OWN_DTYPE = "the loss is the caller's, and computes in the dtype of its parameters"
NO_NUMBERS = "it moves arrays and computes nothing"


def _logits(params, x):
    return jnp.tanh(x) @ params


def _losses(params, batch):
    x, labels = batch
    return -jnp.take_along_axis(jax.nn.log_softmax(_logits(params, x)), labels[:, None], axis=1)[:, 0]


def _loss(params, batch):
    return jnp.mean(_losses(params, batch))


def _of_outputs(z, labels):
    return jnp.mean(jax.nn.logsumexp(z, axis=-1) - jnp.take_along_axis(z, labels[:, None], axis=1)[:, 0])


def _product(function, *first):
    """An operator's function as the product that its operator gives."""

    @wraps(function)
    def product(params, data, vector, **options):
        return function(*first, params, data, **options).matvec(vector)

    return product


@wraps(curvature.damped_inverse)
def _solution(factor, damping, vector):
    (factor,), _ = real_arrays(factor=factor)
    matrix = jnp.matmul(factor, jnp.swapaxes(factor, -1, -2), precision="highest")
    return curvature.damped_inverse(curvature.Matrix(matrix), damping).matvec(vector)


@wraps(curvature.block_diagonal)
def _blocks(one, other, data, vector):
    def loss(params, batch):
        return _loss(params["one"] * params["other"], batch)

    whole = curvature.hessian(loss, {"one": one, "other": other}, data)
    return curvature.block_diagonal(whole).matvec({"one": vector, "other": vector})


def _arguments(rng):
    labels = rng.integers(0, 2, (2, 4)).astype(np.uint8)
    return float32(rng, 3, 2), (float32(rng, 2, 4, 3), labels), float32(rng, 3, 2)


def _two_parts(rng):
    one, data, vector = _arguments(rng)
    return one, float32(rng, 3, 2), data, vector


def _row(function, options=None, **facts):
    defaults = {
        "leading": (2,),
        "differentiable": (0, 2),
        "export": True,
        "devices": True,
        "half": ITS_OWN_DTYPE,
    }
    return Example(function, _arguments, options, **defaults | facts)


EXAMPLES: list[Example] = [
    _row(_product(hessians.hessian, _loss)),
    _row(_product(hessians.hessian, _loss), {"keep": True}, name="kept"),
    _row(
        _product(hessians.hessian, _loss),
        {"method": "finite_differences", "step": 0.05},
        name="finite differences",
        tolerance=2e-3,
    ),
    _row(_product(outputs.gauss_newton, _logits, _of_outputs)),
    _row(_product(outputs.fisher, _logits)),
    _row(_product(outputs.fisher, _logits), {"kind": "empirical"}, name="empirical"),
    _row(_product(gradients.gradient_covariance, _losses)),
    Example(
        _blocks,
        _two_parts,
        leading=(3,),
        differentiable=(0, 1, 3),
        half=ITS_OWN_DTYPE,
        export="its blocks are Hessians, which are exported",
        devices="its blocks are Hessians, which are run on eight devices",
    ),
    Example(
        _solution,
        lambda rng: (float32(rng, 4, 4), np.float32(0.5), float32(rng, 4)),
        leading=(2,),
        differentiable=(0, 1, 2),
        half="an operator gives products in the dtype of its matrix",
        tolerance=1e-4,
    ),
    Example(
        batches.in_batches,
        lambda rng: (float32(rng, 5, 3),),
        {"examples": 2},
        vmap="the leading axis is that of examples",
        grad=NO_NUMBERS,
        integer=NO_NUMBERS,
        half=NO_NUMBERS,
    ),
]

NOT_TRACED: dict[str, str] = {
    "landscape.curvature.parameters.layers": "it names the parts of a tree, and computes nothing",
    "landscape.curvature.kept.residual_bytes": "it counts the bytes of shapes",
}
