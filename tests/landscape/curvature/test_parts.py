"""Operators restricted to a part of the parameters, and block by block."""

import jax
import numpy as np
import pytest

from jaxtheory.landscape import curvature
from tests.landscape.curvature import models

FIRST = {"first": True, "second": False}


@pytest.fixture
def problem(x64, rng):
    return models.params(rng), [models.data(rng)]


OPERATORS = {
    "hessian": lambda *args, **options: curvature.hessian(models.loss, *args, **options),
    "finite differences": lambda *args, **options: curvature.hessian(
        models.loss, *args, method="finite_differences", **options
    ),
    "gauss_newton": lambda *args, **options: curvature.gauss_newton(
        models.outputs, models.loss_of_outputs, *args, **options
    ),
    "fisher": lambda *args, **options: curvature.fisher(models.outputs, *args, **options),
    "covariance": lambda *args, **options: curvature.gradient_covariance(models.losses, *args, **options),
}
SLOW = [pytest.param(name, marks=pytest.mark.beyond) for name in list(OPERATORS)[1:]]


@pytest.mark.parametrize("name", ["hessian", *SLOW])
def test_the_block_of_a_part_is_a_block_of_the_matrix(problem, name):
    params, batches = problem
    whole, part = OPERATORS[name](params, batches), OPERATORS[name](params, batches, part=FIRST)
    expected = np.asarray(whole.dense())[:16, :16]
    digits = 1e-6 if name == "finite differences" else 1e-10
    models.close(part.dense(), expected, digits)
    models.close(whole.restricted(FIRST).dense(), expected, digits)
    vector = part.matvec(part.template)
    assert vector["second"] == {"kernel": None, "bias": None}
    assert vector["first"]["kernel"].shape == (3, 4)


def test_a_part_of_a_part(problem):
    params, batches = problem
    whole = curvature.hessian(models.loss, params, batches)
    bias = {"first": {"kernel": False, "bias": True}, "second": True}
    once = whole.restricted({"first": {"kernel": False, "bias": True}, "second": False})
    models.close(whole.restricted(bias).restricted(FIRST).dense(), once.dense(), 1e-14)


def test_what_does_not_vary_may_hold_integers(problem, rng):
    params, batches = problem

    def loss(params, batch):
        return models.loss(params["network"], batch) * params["times"]

    operator = curvature.hessian(
        loss, {"network": params, "times": np.arange(3)[2]}, batches, part={"network": True, "times": False}
    )
    models.close(operator.dense(), 2 * curvature.hessian(models.loss, params, batches).dense(), 1e-14)


def test_layers_are_what_stands_side_by_side():
    tree = {"layers": [(1.0, 2.0), (3.0, 4.0)], "scale": 5.0}
    parts = curvature.layers(tree)
    assert list(parts) == ["layers/0", "layers/1", "scale"]
    assert parts["layers/1"] == {"layers": [(False, False), (True, True)], "scale": False}
    assert parts["scale"] == {"layers": [(False, False), (False, False)], "scale": True}


def test_block_by_layer(problem):
    params, batches = problem
    whole = curvature.hessian(models.loss, params, batches)
    blocks = curvature.block_diagonal(whole)
    assert list(blocks.blocks) == ["first", "second"]
    expected = np.array(whole.dense())
    expected[:16, 16:] = expected[16:, :16] = 0
    models.close(blocks.dense(), expected)
    models.close(blocks.blocks["second"].dense(), expected[16:, 16:])
    one = blocks.matvec(params)
    models.close(
        blocks.flat(jax.tree.map(lambda leaf: leaf[None], one))[0], expected @ models.flat(params)[0]
    )
    kept = curvature.hessian(models.loss, params, batches, keep=True)
    models.close(curvature.block_diagonal(kept).dense(), expected)
    halves = {
        "kernels": jax.tree.map(lambda leaf: leaf.ndim == 2, params),
        "biases": jax.tree.map(lambda leaf: leaf.ndim == 1, params),
    }
    assert curvature.block_diagonal(whole, halves).blocks["biases"].dimension == 6


def test_parts_that_do_not_fit(problem):
    params, batches = problem
    with pytest.raises(ValueError, match="which does not fit the parameters: take a pytree of truth values"):
        curvature.hessian(models.loss, params, batches, part={"third": True})
    with pytest.raises(ValueError, match="by which no parameter varies: take at least one parameter"):
        curvature.hessian(models.loss, params, batches, part=False)
    with pytest.raises(TypeError, match="part is 'first': take a pytree of True and False"):
        curvature.hessian(models.loss, params, batches, part="first")
    whole = curvature.hessian(models.loss, params, batches)
    for parts, covered in (({"first": FIRST}, 16), ({"first": FIRST, "all": True}, 42)):
        with pytest.raises(
            ValueError, match=f"parts cover {covered} parameters of 26: take parts that cover"
        ):
            curvature.block_diagonal(whole, parts)
    with pytest.raises(TypeError, match="operator is a Sum: take a curvature operator of parameters"):
        curvature.block_diagonal(whole + whole)
