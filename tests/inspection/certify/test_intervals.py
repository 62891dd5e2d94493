"""Interval bounds against closed forms, corners, Flax's networks, and points that try to leave them."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtheory import networks
from jaxtheory.inspection import certify
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.mlp import MLP

WIDTHS = (6, 16, 12, 4)
CNN_OPTIONS = {"strides": 2, "window": 1, "boundary": "zero"}


@pytest.fixture(scope="module")
def perceptron():
    """A perceptron with biases: its layers and its logits."""
    init, apply = networks.functional(partial(MLP, WIDTHS, bias_variance=0.1))
    params = init(jax.random.key(0))[0]
    return certify.layers_of(params), partial(training.predictor(apply), params)


@pytest.fixture(scope="module")
def convolutional():
    """A convolutional network as the experiment trains it, but smaller."""
    make = partial(CNN, (9, 8), (3, 4), kernel_size=4, head=(10, 5), bias_variance=0.1, **CNN_OPTIONS)
    init, apply = networks.functional(make)
    params = init(jax.random.key(1))[0]
    return certify.layers_of(params, **CNN_OPTIONS), partial(training.predictor(apply), params)


def climbed(logits, x, epsilon, key, steps=20):
    """Points of the boxes about inputs that raise or lower a drawn logit, by steps of signs of gradients."""
    start, chosen, sign = jax.random.split(key, 3)
    classes = jax.eval_shape(logits, x).shape[-1]
    which = jax.nn.one_hot(jax.random.randint(chosen, x.shape[:1], 0, classes), classes)
    which *= jax.random.rademacher(sign, (len(x), 1), float)

    def step(_, moved):
        slope = jax.grad(lambda x: jnp.sum(logits(x) * which))(moved)
        return jnp.clip(moved + epsilon / 5 * jnp.sign(slope), x - epsilon, x + epsilon)

    return jax.lax.fori_loop(0, steps, step, x + epsilon * jax.random.uniform(start, x.shape, minval=-1))


@pytest.mark.parametrize(
    ("name", "epsilons"),
    [
        ("convolutional", (0.0, 0.03)),
        pytest.param("perceptron", (0.0, 0.02, 0.5), marks=pytest.mark.beyond),
        pytest.param("convolutional", (0.1, 0.5), marks=pytest.mark.beyond),
    ],
)
def test_bounds_contain_random_points_and_attacked_ones(name, epsilons, request):
    layers, logits = request.getfixturevalue(name)
    event = WIDTHS[:1] if name == "perceptron" else (9, 8)

    @jax.jit
    def room(epsilon):
        """The least distances from ends and margins, of 10,000 random points and 1,000 attacked ones."""
        x, spread, attack = jax.random.split(jax.random.key(2), 3)
        x = jax.random.uniform(x, (10, *event))
        lower, upper = certify.interval(layers, x, epsilon)
        y = jnp.arange(10) % lower.shape[-1]
        margins = certify.margins(layers, x, y, epsilon)
        random = x + epsilon * jax.random.uniform(spread, (1000, *x.shape), minval=-1)
        attacked = climbed(logits, jnp.tile(x, (100, *(1,) * len(event))), epsilon, attack)
        found = []
        for points in (random, attacked.reshape(100, *x.shape)):
            z = logits(points)
            of_label = jnp.take_along_axis(z, jnp.broadcast_to(y, z.shape[:-1])[..., None], -1)
            found += [(z - lower).min(), (upper - z).min(), (of_label - z - margins).min()]
        apart = jnp.take_along_axis(lower, y[:, None], -1) - upper
        gain = jnp.where(jnp.arange(lower.shape[-1]) == y[:, None], jnp.nan, margins - apart)
        return jnp.stack(found), jnp.nanmin(gain), jnp.nanmax(gain), jnp.max(upper - lower)

    for epsilon in epsilons:
        distances, least, most, width = room(epsilon)
        assert float(distances.min()) >= -1e-5
        # Margins are closer than the difference of the ends.
        assert float(least) >= -1e-5
        if epsilon:
            assert float(most) > 1e-3
            assert float(width) > 1e-2
        else:
            assert float(width) < 1e-5
            assert float(np.abs(distances).max()) < 1e-5


def test_one_layer_is_bounded_sharply(rng):
    w, b, x = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal(5)
    lower, upper = certify.interval([(w, b)], x, 0.2)
    widest = 0.2 * np.abs(w).sum(axis=0)
    np.testing.assert_allclose(lower, x @ w + b - widest, rtol=1e-5)
    np.testing.assert_allclose(upper, x @ w + b + widest, rtol=1e-5)
    margins = certify.margins([(w, b)], x, 1, 0.2)
    expected = x @ (w[:, [1]] - w) + b[1] - b - 0.2 * np.abs(w[:, [1]] - w).sum(axis=0)
    np.testing.assert_allclose(margins, expected, rtol=1e-5, atol=1e-6)
    assert margins[1] == 0


def test_hidden_units_have_the_ends_that_corners_give(rng):
    w, b, x = rng.standard_normal((4, 6)), rng.standard_normal(6), rng.uniform(size=4)
    corners = np.array(list(itertools.product((-1, 1), repeat=4)))
    hidden = np.maximum(np.clip(x + 0.3 * corners, 0, 1) @ w + b, 0)
    identity = (np.eye(6), np.zeros(6))
    lower, upper = certify.interval([(w, b), identity], x, 0.3, bounds=(0, 1))
    np.testing.assert_allclose(lower, hidden.min(axis=0), atol=1e-6)
    np.testing.assert_allclose(upper, hidden.max(axis=0), atol=1e-6)


@pytest.mark.beyond
def test_bounds_of_pixels_make_intervals_closer(convolutional):
    layers, _ = convolutional
    x = jax.random.uniform(jax.random.key(3), (2, 9, 8))
    free = certify.interval(layers, x, 0.4)
    within = certify.interval(layers, x, 0.4, bounds=(0, 1))
    assert (within[0] > free[0]).all()
    assert (within[1] < free[1]).all()
    # Where epsilon is the whole range, all inputs have the same bounds.
    whole = certify.interval(layers, x, 1.0, bounds=(np.zeros((9, 8)), 1))
    np.testing.assert_allclose(whole[0][0], whole[0][1], atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"strides": 2, "window": 1, "kernel_size": 4},
        pytest.param({"boundary": None, "strides": (2, 1), "window": (1, 2)}, marks=pytest.mark.beyond),
        pytest.param({"boundary": "periodic", "strides": 2, "pooling": "average"}, marks=pytest.mark.beyond),
        pytest.param({"boundary": "reflect", "kernel_size": 4, "window": 2}, marks=pytest.mark.beyond),
        pytest.param({"boundary": "zero", "kernel_size": (5, 2), "bias": False}, marks=pytest.mark.beyond),
    ],
)
def test_layers_are_those_of_the_network(options, rng):
    init, apply = networks.functional(partial(CNN, (11, 12, 2), (3, 4), head=(6, 5), **options))
    params = init(jax.random.key(0))[0]
    told = {key: value for key, value in options.items() if key not in ("kernel_size", "bias")}
    layers = certify.layers_of(params, **told)
    assert len(layers) == 4
    x = np.float32(rng.standard_normal((3, 11, 12, 2)))
    expected = apply(params, {}, x)[0]
    for end in certify.interval(layers, x, 0.0):
        np.testing.assert_allclose(end, expected, atol=1e-5)


@pytest.mark.beyond
def test_a_channel_and_numbers_of_rows_before_and_after(rng):
    kernel, bias = np.float32(rng.standard_normal((3, 3, 1, 2))), np.zeros(2, np.float32)
    dense = np.float32(rng.standard_normal((2 * 4 * 5, 3))), np.zeros(3, np.float32)
    same = [certify.Convolution(kernel, bias), dense]
    padded = [certify.Convolution(kernel, bias, padding=((1, 1), (1, 1))), dense]
    x = np.float32(rng.standard_normal((6, 4, 5)))
    for one, other in zip(certify.interval(same, x, 0.1), certify.interval(padded, x[..., None], 0.1)):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.beyond
def test_every_input_may_have_its_own_epsilon(perceptron):
    layers, _ = perceptron
    x = jax.random.uniform(jax.random.key(0), (2, 3, 6))
    epsilon = jnp.linspace(0, 0.5, 6).reshape(2, 3)
    lower, _ = certify.interval(layers, x, epsilon)
    np.testing.assert_allclose(lower[1, 2], certify.interval(layers, x[1, 2], epsilon[1, 2])[0], atol=1e-5)
    y = np.zeros((2, 3), int)
    certified = certify.certified(layers, x, y, epsilon)
    np.testing.assert_array_equal(certified, (certify.margins(layers, x, y, epsilon)[..., 1:] > 0).all(-1))


def test_what_is_out_of_range_is_not_certified_under_jit():
    layers = [(jnp.array([[1.0, -1.0]]), jnp.array([5.0, 0.0]))]
    certified = jax.jit(partial(certify.certified, layers, bounds=(0, 1)))
    x = jnp.array([[0.5], [1.5], [0.5], [0.5], [0.5], [jnp.nan]])
    y, epsilon = jnp.array([0, 0, 2, -1, 0, 0]), jnp.array([0.1, 0.1, 0.1, 0.1, -0.1, 0.1])
    assert certified(x, y, epsilon).tolist() == [True, False, False, False, False, False]
    assert np.isnan(jax.jit(certify.margins)(layers, x[0], jnp.array(-1), 0.1)).all()


@pytest.mark.beyond
def test_training_on_margins_certifies(rng):
    """Opposite corners of a square: a network trained on them is not certified, one on its margins is."""
    centers = np.array([[0.2, 0.2], [0.8, 0.8], [0.2, 0.8], [0.8, 0.2]])
    labels = rng.integers(0, 4, 200)
    x = jnp.asarray(np.float32(centers[labels] + rng.uniform(-0.05, 0.05, (200, 2))))
    y = jnp.asarray(labels // 2)
    init, apply = networks.functional(partial(MLP, (2, 64, 64, 2)))
    params, optimizer = init(jax.random.key(0))[0], optax.adam(0.01)

    def worst(params, epsilon):
        margins = certify.margins(certify.layers_of(params), x, y, epsilon)
        return training.cross_entropy(-margins, y).mean()

    @jax.jit
    def trained(largest):
        def step(carry, k):
            params, state = carry
            gradient = jax.grad(worst)(params, largest * jnp.minimum(k / 300, 1))
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(600.0))[0][0]

    shares = {
        largest: certify.certified(certify.layers_of(trained(largest)), x, y, 0.15).mean()
        for largest in (0.0, 0.15)
    }
    assert shares[0.15] > 0.95
    assert shares[0.0] < 0.5
    z = training.predictor(apply)(params, x)
    np.testing.assert_allclose(worst(params, 0.0), training.cross_entropy(z, y).mean(), rtol=1e-5)


DENSE = [(np.ones((3, 2), np.float32), np.zeros(2, np.float32))]
IMAGE = certify.Convolution(np.ones((2, 2, 1, 2), np.float32), np.zeros(2, np.float32))
X = np.full((4, 3), 0.5, np.float32)
Y = np.zeros(4, int)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "layers are empty: take at least one", lambda: certify.interval([], X, 0.1)),
        (TypeError, r"layers\[0\] is a ndarray: take a pair \(kernel, bias\), or a Convolution",
         lambda: certify.interval([np.ones((3, 2))], X, 0.1)),
        (ValueError, r"layers\[0\]\[1\] has the shape \(3,\): take \(2,\) for \(outputs,\)",
         lambda: certify.interval([(np.ones((3, 2)), np.ones(3))], X, 0.1)),
        (ValueError, r"layers\[1\] has a kernel of the shape \(3, 2\): take \(2, outputs\)",
         lambda: certify.interval(DENSE * 2, X, 0.1)),
        (ValueError, r"layers\[1\] is a convolution after a dense layer: take convolutions first",
         lambda: certify.interval([*DENSE, IMAGE], X, 0.1)),
        (ValueError, r"layers\[0\] is a convolution: take a dense layer as the last",
         lambda: certify.margins([IMAGE], np.ones((4, 3, 3)), Y, 0.1)),
        (ValueError, r"layers\[1\] has kernels of 1 channels: take 2, as many as come before",
         lambda: certify.interval([IMAGE, IMAGE], np.ones((3, 3)), 0.1)),
        (ValueError, "pooling of a Convolution is 'median': take 'max' or 'average'",
         lambda: certify.interval([certify.Convolution(IMAGE.kernel, IMAGE.bias, pooling="median")],
                                  np.ones((3, 3)), 0.1)),
        (ValueError, "x holds 1.5: take numbers from 0 to 1, or give their range",
         lambda: certify.interval(DENSE, X + 1, 0.1, bounds=(0, 1))),
        (ValueError, "x holds nan: take numbers that are finite",
         lambda: certify.interval(DENSE, X * np.nan, 0.1)),
        (ValueError, r"x has the shape \(\): take \(..., features\)",
         lambda: certify.interval(DENSE, np.float32(1), 0.1)),
        (ValueError, "epsilon is -0.1: take a number of 0 or more",
         lambda: certify.interval(DENSE, X, -0.1)),
        (ValueError, "epsilon is 1.5: take a number from 0 to 1, the width of the range",
         lambda: certify.interval(DENSE, X, 1.5, bounds=(0, 1))),
        (ValueError, r"epsilon has the shape \(3,\): take one number, or \(4,\), those of x",
         lambda: certify.interval(DENSE, X, np.ones(3))),
        (ValueError, r"bounds is \(1, 0\): take the least value first",
         lambda: certify.interval(DENSE, X, 0.1, bounds=(1, 0))),
        (ValueError, "bounds has 3 entries: take the least and the largest value",
         lambda: certify.interval(DENSE, X, 0.1, bounds=(0, 0.5, 1))),
        (ValueError, r"the upper of bounds has the shape \(2,\): take one number, or shape \(3,\)",
         lambda: certify.interval(DENSE, X, 0.1, bounds=(0, np.ones(2)))),
        (TypeError, "y is float32: take whole numbers from 0",
         lambda: certify.margins(DENSE, X, Y.astype(np.float32), 0.1)),
        (ValueError, r"y has the shape \(3,\): take one label, or \(4,\), one for each input",
         lambda: certify.margins(DENSE, X, Y[:3], 0.1)),
        (ValueError, "y holds 2: take numbers from 0 to 1", lambda: certify.certified(DENSE, X, Y + 2, 0.1)),
        (TypeError, "params is a list: take the dictionary of an MLP or a CNN",
         lambda: certify.layers_of([])),
        (ValueError, "params hold no dense layer: take those of an MLP, or of a CNN with a head",
         lambda: certify.layers_of({"convolutions": {}})),
        (ValueError, r"strides is \(1, 2\): take one number, or one for each of the 0 convolutions",
         lambda: certify.layers_of({"layers": {"0": {"kernel": np.ones((2, 2))}}}, strides=(1, 2))),
        (ValueError, "boundary is 'open': take 'zero', 'periodic' or 'reflect'",
         lambda: certify.layers_of({}, boundary="open")),
    ],
)  # fmt: skip
def test_errors(error, message, call, own_errors):
    with pytest.raises(error, match=message):
        call()
