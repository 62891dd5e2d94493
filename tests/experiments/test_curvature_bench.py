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


def exact_trace(params, x):
    """The trace of the Hessian of the cross entropy of a perceptron with ReLUs, in closed form.

    The outputs are piecewise linear in each layer's parameters, so that the trace is the Gauss-Newton
    matrix's: with probabilities p and a_k the squared length of the gradient of logit k, which is a sum over
    layers of (1 + |input|²) |slope|², it is the mean of Σ_k p_k a_k - |Σ_k p_k gradient_k|².
    """
    inputs, masks = [np.asarray(x, np.float64)], []
    for layer in params[:-1]:
        z = inputs[-1] @ np.asarray(layer["kernel"], np.float64) + layer["bias"]
        masks.append(z > 0)
        inputs.append(np.where(masks[-1], z, 0))
    logits = inputs[-1] @ np.asarray(params[-1]["kernel"], np.float64) + params[-1]["bias"]
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    slopes = np.eye(logits.shape[1])[None] - chances[:, None, :]
    total = 0.0
    for number in range(len(params))[::-1]:
        length = 1 + (inputs[number] ** 2).sum(axis=1)
        total += np.einsum("nk,nkj,n->", chances, slopes**2, length) / len(x)
        slopes = slopes @ np.asarray(params[number]["kernel"], np.float64).T
        if number:
            slopes = slopes * masks[number - 1][:, None, :]
    return total


def trained(x, labels, accuracy=0.95):
    """The bench's network, trained by gradient descent with momentum until so many digits are right."""
    start = jax.tree.map(jnp.asarray, bench.weights())

    def right(params):
        hidden = x
        for layer in params[:-1]:
            hidden = jax.nn.relu(hidden @ layer["kernel"] + layer["bias"])
        return jnp.mean(jnp.argmax(hidden @ params[-1]["kernel"] + params[-1]["bias"], axis=1) == labels)

    def step(carry):
        params, speed, steps = carry
        slope = jax.grad(bench.loss)(params, (x, labels))
        speed = jax.tree.map(lambda v, g: 0.9 * v - 0.05 * g, speed, slope)
        return jax.tree.map(jnp.add, params, speed), speed, steps + 1

    def goes_on(carry):
        return (right(carry[0]) < accuracy) & (carry[2] < 500)

    params, _, steps = jax.jit(lambda start: jax.lax.while_loop(goes_on, step, start))(
        (start, jax.tree.map(jnp.zeros_like, start), 0)
    )
    assert steps < 500
    return params


def test_the_closed_form_of_the_trace(x64, rng):
    params = jax.tree.map(np.float64, bench.weights((6, 5, 4, 3)))
    x, labels = rng.standard_normal((20, 6)), rng.integers(0, 3, 20)
    flat, unravel = ravel_pytree(params)
    matrix = jax.jit(jax.hessian(lambda flat: bench.loss(unravel(flat), (x, labels))))(flat)
    assert exact_trace(params, x) == pytest.approx(float(jnp.trace(matrix)), rel=1e-9)


def deviations(batches, seeds):
    """By how many standard errors traces with thirty probes miss that of the trained network, by seed."""
    x, labels = jax.tree.map(lambda leaf: leaf[:batches], bench.digits())
    whole = x.reshape(-1, bench.WIDTHS[0])
    params = trained(whole, labels.reshape(-1))
    operator = curvature.hessian(bench.loss, params, (x, labels), keep=True)
    exact = exact_trace(params, whole)
    found = [spectrum.trace(operator, jax.random.key(seed), probes=30) for seed in range(seeds)]
    return np.array([float(abs(one.value - exact) / one.standard_error) for one in found])


@pytest.mark.beyond
def test_traces_are_within_three_standard_errors():
    """With 500 digits; `deviations(bench.BATCHES, 100)` takes all 4,000."""
    assert np.sum(deviations(1, seeds=100) <= 3) >= 94
