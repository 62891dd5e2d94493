"""Batches over eight devices, and memory that does not grow with their number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxtheory.landscape import curvature
from jaxtheory.landscape.curvature import operators
from tests.landscape.curvature import models


@pytest.fixture
def mesh():
    assert jax.device_count() == 8
    return Mesh(np.array(jax.devices()).reshape(4, 2), ("rows", "columns"))


def single(tree):
    return jax.tree.map(lambda leaf: np.float32(leaf) if leaf.dtype == np.float64 else leaf, tree)


OPERATORS = {
    "hessian": lambda *args, **options: curvature.hessian(models.loss, *args, **options),
    "gauss_newton": lambda *args, **options: curvature.gauss_newton(
        models.outputs, models.loss_of_outputs, *args, **options
    ),
    "fisher": lambda *args, **options: curvature.fisher(
        models.outputs, *args, kind="monte_carlo", key=jax.random.key(1), **options
    ),
    "gradient_covariance": lambda *args, **options: curvature.gradient_covariance(
        models.losses, *args, **options
    ),
}


@pytest.mark.beyond
@pytest.mark.parametrize("name", OPERATORS)
def test_eight_devices_give_the_numbers_of_one(mesh, rng, name, monkeypatch):
    if name == "gauss_newton":
        monkeypatch.setattr(operators, "LARGE", 1)
    # Ten batches of two and one of one: eight stand on one device each, and the rest on all.
    params, data = single((models.params(rng), models.data(rng, 21)))
    batches = curvature.in_batches(data, 2)
    one, eight = (OPERATORS[name](params, batches, **options) for options in ({}, {"mesh": mesh}))
    kept = OPERATORS[name](params, batches, mesh=mesh, keep=True)
    expected = one.dense()
    models.close(eight.dense(), expected, 1e-5)
    models.close(kept.dense(), expected, 1e-5)
    text = jax.jit(lambda operator, vector: operator.matvec(vector)).lower(eight, params).compile().as_text()
    assert "all-reduce" in text
    for stray in ("all-gather", "all-to-all", "collective-permute"):
        assert stray not in text


def temporaries(batches, params, **options):
    """Bytes beside arguments and results of a product, as it is compiled."""

    def product(params, batches, vectors):
        return curvature.hessian(models.loss, params, batches, **options).matvec(vectors)

    vectors = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), params)
    return jax.jit(product).lower(params, batches, vectors).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_with_the_number_of_batches(rng):
    params = single(models.params(rng))
    few, many = (
        (jax.ShapeDtypeStruct((n, 100, 3), np.float32), jax.ShapeDtypeStruct((n, 100), np.int32))
        for n in (15, 60)
    )
    small, large = temporaries(few, params), temporaries(many, params)
    assert small > 0
    assert large <= 1.05 * small
    assert temporaries(many, params, keep=True) > 2 * large


@pytest.mark.beyond
def test_a_product_with_ten_million_parameters_takes_less_than_a_gibibyte():
    widths = (784, 3000, 2500, 10)
    params = {
        name: {
            "kernel": jax.ShapeDtypeStruct((a, b), np.float32),
            "bias": jax.ShapeDtypeStruct((b,), np.float32),
        }
        for name, a, b in zip("abc", widths, widths[1:])
    }

    def loss(params, batch):
        x, labels = batch
        for name in "ab":
            x = jax.nn.relu(x @ params[name]["kernel"] + params[name]["bias"])
        logits = x @ params["c"]["kernel"] + params["c"]["bias"]
        return models.loss_of_outputs(logits, labels)

    def product(params, batches, vector):
        return curvature.hessian(loss, params, batches).matvec(vector)

    batches = (jax.ShapeDtypeStruct((60, 1000, 784), np.float32), jax.ShapeDtypeStruct((60, 1000), np.int32))
    compiled = jax.jit(product).lower(params, batches, params).compile()
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(params)) > 9.8e6
    memory = compiled.memory_analysis()
    assert memory.temp_size_in_bytes + memory.output_size_in_bytes < 2**30
