"""Margins by hand, norms against dense matrices, and the bound against its formula and its integral."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from jaxtheory.statistics import margins

KEY = jax.random.key(0)


def logits(params, x):
    return jax.nn.relu(x @ params["first"]) @ params["second"]


def network(rng):
    return {
        "first": np.float32(rng.standard_normal((5, 8))),
        "second": np.float32(rng.standard_normal((8, 3))),
    }


def convolution(kernel, stride=1):
    """A convolution of one image with zeros beyond its border, and a bias."""

    def affine(image):
        options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "precision": "highest"}
        return jax.lax.conv_general_dilated(image[None], kernel, (stride, stride), "SAME", **options)[0] + 3

    return affine


def dense(linear, shape):
    """The matrix of the linear part, one row for each output."""
    zero = linear(jnp.zeros(shape))
    columns = jax.vmap(lambda one: linear(one.reshape(shape)) - zero)(jnp.eye(int(np.prod(shape))))
    return np.asarray(columns, float).reshape(len(columns), -1).T


def test_margins_are_distances_to_the_best_other_class(rng):
    params, x, y = network(rng), np.float32(rng.standard_normal((20, 5))), np.arange(20) % 3
    outputs = np.asarray(logits(params, x))
    expected = [row[label] - np.delete(row, label).max() for row, label in zip(outputs, y)]
    np.testing.assert_allclose(margins.raw(logits, params, x, y), expected, rtol=1e-5, atol=1e-6)
    matrices = [np.asarray(params[name], float) for name in ("first", "second")]
    spectral = [np.linalg.svd(one)[1][0] for one in matrices]
    moved = [np.linalg.norm(one, axis=0).sum() for one in matrices]
    complexity = np.prod(spectral) * sum((b / s) ** (2 / 3) for b, s in zip(moved, spectral)) ** 1.5
    unit = 2 * complexity * np.linalg.norm(x) / 20
    found = margins.normalized(logits, params, x, y, lipschitz=2.0)
    np.testing.assert_allclose(found, np.array(expected) / unit, rtol=1e-5, atol=1e-6)
    # Larger weights of either layer, which no ReLU notices, cancel.
    larger = margins.normalized(logits, params | {"first": 7 * params["first"]}, 3 * x, y, lipschitz=2.0)
    np.testing.assert_allclose(larger, found, rtol=1e-4)


def test_a_traced_label_out_of_range_has_no_margin():
    margins_of = jax.jit(lambda y: margins.raw(jnp.matmul, jnp.eye(3), jnp.eye(3), y))
    found = margins_of(jnp.array([0, 3, -1]))
    np.testing.assert_array_equal(found, [1, np.nan, np.nan])


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.beyond), 2])
def test_norms_of_convolutions_are_those_of_their_matrices(rng, stride):
    kernel, reference = np.float32(rng.standard_normal((2, 3, 3, 2, 4)))
    shape = (6, 5, 2)
    matrix = dense(convolution(kernel, stride), shape)
    found = margins.spectral_norm(convolution(kernel, stride), shape, KEY)
    values = np.linalg.svd(matrix, compute_uv=False)
    assert float(found) == pytest.approx(values[0], rel=1e-5)
    assert float(found) <= values[0] * (1 + 1e-6)
    moved = dense(convolution(kernel - reference, stride), shape)
    difference = lambda x: convolution(kernel, stride)(x) - convolution(reference, stride)(x)  # noqa: E731
    total = margins.two_one_norm(difference, shape, block=7)
    assert float(total) == pytest.approx(np.linalg.norm(moved, axis=1).sum(), rel=1e-5)


def spectral_norm(matrix):
    return margins.spectral_norm(lambda x: x @ matrix, matrix.shape[:1], KEY, tolerance=1e-6)


def test_norms_of_dense_layers_and_the_derivative_of_the_spectral_one(rng):
    params = {**network(rng), "bias": np.ones(8, np.float32)}
    start = jax.tree.map(lambda leaf: leaf / 2, params)
    found = margins.dense_norms(params, reference=start)
    assert found.width == 8
    for name, spectral, two_one in zip(("first", "second"), found.spectral, found.two_one):
        matrix = params[name]
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        assert float(spectral) == pytest.approx(values[0], rel=1e-5)
        assert float(two_one) == pytest.approx(np.linalg.norm(matrix / 2, axis=0).sum(), rel=1e-5)
    # Of the last of them, the derivative is that of simple singular values.
    value, slope = jax.value_and_grad(spectral_norm)(matrix)
    assert float(value) == pytest.approx(values[0], rel=1e-5)
    np.testing.assert_allclose(slope, np.outer(left[:, 0], right[0]), atol=1e-3)
    assert float(margins.spectral_norm(lambda x: 0 * x, (4,), KEY)) == 0


def test_the_bound_is_the_sum_of_its_terms(x64, rng):
    n, width, delta = 500, 40, 0.1
    values, spectral, two_one = rng.uniform(0, 4, n), np.array([1.3, 0.7]), np.array([2.2, 5.1])
    norms = margins.LayerNorms(spectral, two_one, width)
    found = margins.bound(values, norms, 30.4, margin=1.7, delta=delta, lipschitz=3.0)
    assert float(found.empirical) == np.mean(values <= 1.7)
    steps = [31, *np.ceil(2 * spectral), *np.ceil(2 * two_one)]
    # The margin is 1.7, of which 1 = 2 ** 0 is the next power of two below.
    share = (2 / 3) / (1 * 2) * np.prod([1 / (k * (k + 1)) for k in steps])
    confidence = 3 * np.sqrt(np.log(2 / (delta * share)) / (2 * n))
    assert float(found.confidence) == pytest.approx(confidence)
    s, b = (np.ceil(2 * one) / 2 for one in (spectral, two_one))
    radius = 31 * 3 * np.prod(s) * np.sum((b / s) ** (2 / 3)) ** 1.5
    # The covering number of their theorem 3.3 for margins, which change twice as fast, in Dudley's integral.
    entropy = lambda size: 2 * radius * np.sqrt(np.log(2 * width**2)) / size  # noqa: E731
    integral = quad(lambda t: entropy(np.exp(t)) * np.exp(t), np.log(1 / n), np.log(np.sqrt(n)))[0]
    rademacher = 4 / n / np.sqrt(n) + 12 / n * integral
    assert float(found.complexity) + 8 / n**1.5 == pytest.approx(2 * rademacher)
    assert float(found.value) == pytest.approx(float(found.empirical) + confidence + 2 * rademacher)


def test_the_shares_of_the_grid_are_a_probability():
    k, j = np.arange(1, 10**6), np.arange(-(10**6), 10**6)
    assert np.sum(1 / (k * (k + 1.0))) <= 1
    assert np.sum(2 / 3 / ((np.abs(j) + 1.0) * (np.abs(j) + 2))) <= 1


@pytest.mark.beyond
def test_small_weights_on_many_examples_are_bounded():
    norms = margins.LayerNorms(jnp.array([1.0]), jnp.array([1.0]), 2)
    found = margins.bound(jnp.full(5_000_000, 2.0), norms, jnp.sqrt(5e6), margin=1.0)
    assert float(found.value) < 0.8


def test_bad_arguments_are_refused(own_errors, rng):
    params, x, y = network(rng), np.ones((4, 5), np.float32), np.array([0, 1, 2, 1])
    norms = margins.LayerNorms(jnp.ones(2), jnp.ones(2), 8)
    bound = lambda **changes: margins.bound(  # noqa: E731
        **({"values": np.ones(9), "norms": norms, "data_norm": 1.0, "margin": 1.0} | changes)
    )
    for call, message in (
        (
            lambda: margins.raw(logits, params, x, y + 1),
            r"^labels run from 1 to 3: take 0 to 2 for 3 classes$",
        ),
        (
            lambda: margins.raw(logits, params, x, y - 1),
            r"^labels run from -1 to 1: take 0 to 2 for 3 classes",
        ),
        (
            lambda: margins.raw(jnp.matmul, np.eye(4), x[:, :1], 0 * y),
            r"^logits has the shape \(4, 1\): take two classes or mo",
        ),
        (lambda: margins.raw(logits, params, x, y[:3]), r"^labels has the shape \(3,\): take \(4,\) for \(n"),
        (
            lambda: margins.raw(jnp.dot, np.ones(4), x, y),
            r"^logits has the shape \(5,\): take \(4, cla",
        ),
        (
            lambda: margins.normalized(logits, params, x, y, norms=norms, reference=params),
            r"^reference is given beside norms: take one of them, as norms hold their reference$",
        ),
        (
            lambda: margins.dense_norms({"kernel": np.ones((3, 3, 1, 8), np.float32)}),
            r"^params\['kernel'\] has the shape \(3, 3, 1, 8\): take dense layers \(inputs, outputs\),",
        ),
        (lambda: margins.dense_norms([np.ones(3, np.float32)]), r"^params hold no array of two axes: take a"),
        (lambda: margins.dense_norms(params, reference=[x]), r"^reference is .*: take the structure of the"),
        (lambda: margins.spectral_norm(jnp.sin, (0,), KEY), r"^shape is 0: take a whole number at least 1$"),
        (
            lambda: margins.spectral_norm(jnp.sin, (3,), KEY, max_steps=0),
            r"^max_steps is 0: take a whole num",
        ),
        (lambda: margins.spectral_norm(jnp.sin, (3,), KEY, tolerance=0), r"^tolerance is 0: take a positive"),
        (
            lambda: margins.two_one_norm(jnp.sin, (3,), block=0),
            r"^block is 0: take a whole number at least 1$",
        ),
        (
            lambda: margins.spectral_complexity(margins.LayerNorms(jnp.zeros(2), jnp.ones(2), 3)),
            r"^norms\.spectral holds 0\.0: take positive numbers$",
        ),
        (lambda: bound(margin=0.0), r"^margin is 0\.0: take a positive number$"),
        (lambda: bound(delta=1.5), r"^delta is 1\.5: take a number from 0 to 1$"),
        (lambda: bound(data_norm=-1.0), r"^data_norm is -1\.0: take a number of 0 or more$"),
        (lambda: bound(lipschitz=0.0), r"^lipschitz is 0\.0: take a positive number$"),
        (lambda: bound(values=np.ones(1)), r"^values has the shape \(1,\): take the margins of two examples"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match=r"^norms is a tuple: take a LayerNorms, as dense_norms returns it$"):
        margins.spectral_complexity((jnp.ones(2), jnp.ones(2)))
    with pytest.raises(TypeError, match=r"^labels are float32: take whole numbers, classes from 0$"):
        margins.raw(logits, params, x, np.float32(y))
