"""The bench of curvature: its count of operations, its vectors, and the bars that take no clock."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxtheory.experiments.benchmarks import curvature as bench
from jaxtheory.landscape import curvature, spectrum


def shapes(batches, examples):
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), bench.weights())
    images = jax.ShapeDtypeStruct((batches, examples, bench.WIDTHS[0]), np.float32)
    return params, (images, jax.ShapeDtypeStruct((batches, examples), np.int32))


def test_the_count_of_operations_is_the_compilers():
    # One batch, so that there is no loop, whose body the compiler counts once.
    params, batches = shapes(1, 500)
    operator = jax.eval_shape(lambda *args: curvature.hessian(bench.loss, *args, keep=True), params, batches)
    compiled = jax.jit(lambda operator, vector: operator.apply(vector)).lower(operator, params).compile()
    # What is not a product of matrices (activations, sums over examples) is one part in a hundred.
    assert compiled.cost_analysis()["flops"] == pytest.approx(bench.flops(examples=500), rel=0.01)
    assert bench.flops(examples=4000) == 2 * 2 * 4000 * (235_200 + 3 * 31_000)


def test_the_bare_products_are_those_that_are_counted():
    shapes = []
    bench_dot = jnp.dot

    def dot(one, other, **options):
        shapes.append((one.shape, other.shape))
        return bench_dot(one, other, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jnp, "dot", dot)
        patch.setattr(bench, "EXAMPLES", 16)
        with jax.disable_jit():
            bench.bare_products("kept", vectors=2)()
    work = sum(2 * one[0] * one[1] * other[1] for one, other in shapes)
    assert work == bench.flops(vectors=2, examples=16)


def test_vectors_find_their_way_to_torch_and_back():
    rows = bench.directions(2)
    np.testing.assert_array_equal(bench.from_torch(bench.to_torch(rows)), rows)
    bias, kernel = bench.to_torch(rows)[:, 235_200:235_500], bench.to_torch(rows)[:, :235_200]
    np.testing.assert_array_equal(bias, rows[:, :300])
    np.testing.assert_array_equal(kernel[0].reshape(300, 784).T.ravel(), rows[0, 300:235_500])


@pytest.mark.beyond
def test_the_small_problem_is_solved(x64):
    [check] = bench.checks().values()
    params, (x, labels), vectors = jax.tree.map(jnp.asarray, check.arguments)
    found = check.function(params, (x, labels), vectors)
    flat, unravel = ravel_pytree(params)
    whole = x.reshape(-1, 6), labels.reshape(-1)
    matrix = jax.jit(jax.hessian(lambda flat: bench.loss(unravel(flat), whole)))(flat)
    rows, products = (
        np.concatenate([np.reshape(leaf, (3, -1)) for leaf in jax.tree.leaves(tree)], axis=1)
        for tree in (vectors, found)
    )
    np.testing.assert_allclose(products, rows @ matrix, rtol=0, atol=1e-6 * np.abs(products).max())


@pytest.mark.beyond
def test_a_density_takes_the_same_memory_for_fifteen_and_for_sixty_batches():
    def density(params, batches, keep=False):
        operator = curvature.hessian(bench.loss, params, batches, keep=keep)
        return spectrum.density(operator, jax.random.key(0), probes=bench.PROBES, steps=bench.STEPS).nodes

    def temporaries(function, batches):
        compiled = jax.jit(function).lower(*shapes(batches, 1000)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    few, many = (temporaries(density, batches) for batches in (15, 60))
    assert many <= 1.05 * few
    operator = jax.eval_shape(partial(curvature.hessian, bench.loss), *shapes(60, 1000))
    assert temporaries(partial(density, keep=True), 60) <= many + curvature.residual_bytes(operator)
