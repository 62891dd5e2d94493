"""The trace of a perceptron's Hessian by Hutchinson's method, against its exact value by back-propagation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.landscape import curvature, spectrum
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP


def trained(digits, widths, steps):
    """A perceptron's loss and its parameters after training on digits."""
    x, y = digits
    network = networks.functional(partial(MLP, widths))
    loss = training.loss(network.apply, training.cross_entropy)
    optimizer = optax.adam(1e-3)
    params, _ = network.init(jax.random.key(0))
    state = training.init(params, jax.random.key(1), optimizer=optimizer)
    objective = training.stateless(loss)
    state, _ = training.run(state, (x, y), objective=objective, optimizer=optimizer, steps=steps, batch=100)
    outputs = network.apply(state.params, {}, x)[0]
    return loss, state.params, float(jnp.mean(training.accuracy(outputs, y)))


def exact_trace(params, x):
    """The trace for cross-entropy: with ReLUs it is that of the Gauss-Newton matrix, a sum of squares.

    The outputs are linear in each single parameter, so that the second derivatives that Gauss-Newton leaves
    out have a diagonal of zeros. The rest is a squared norm for each example and column of a root of the
    softmax's Hessian, of a gradient that is an outer product in each layer.
    """
    layers = [params["layers"][str(place)] for place in range(len(params["layers"]))]
    kernels = [np.asarray(layer["kernel"], float) for layer in layers]
    inputs = [np.asarray(x, float)]
    for kernel, layer in zip(kernels, layers):
        inputs.append(np.maximum(inputs[-1] @ kernel + np.asarray(layer["bias"], float), 0))
    p = special.softmax(inputs[-2] @ kernels[-1] + np.asarray(layers[-1]["bias"], float), axis=1)
    signal = np.sqrt(p)[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :])
    total = 0.0
    for place in reversed(range(len(kernels))):
        sizes = (inputs[place] ** 2).sum(1) + 1
        total += ((signal**2).sum((1, 2)) * sizes).mean()
        signal = (signal @ kernels[place].T) * (inputs[place] > 0)[:, None]
    return total


def shares(operator, exact, seeds):
    """The share of seeds whose trace is within three standard errors, and 1e-12 of it, of the exact one."""
    keys = jax.random.split(jax.random.key(2), seeds)
    found = jax.jit(lambda operator: jax.lax.map(lambda key: spectrum.trace(operator, key), keys))(operator)
    value, error = (np.asarray(one, float) for one in (found.value, found.standard_error))
    return np.mean(np.abs(value - exact) <= 3 * error + 1e-12 * exact)


def test_the_exact_trace_is_that_of_the_dense_hessian(x64, rng):
    digits = rng.standard_normal((30, 5)), rng.integers(0, 3, 30)
    loss, params, _ = trained((np.repeat(digits[0], 4, 0), np.repeat(digits[1], 4)), (5, 6, 4, 3), 10)
    flat, back = jax.flatten_util.ravel_pytree(params)
    dense = jax.jit(jax.hessian(lambda flat: loss(back(flat), digits)))(flat)
    assert exact_trace(params, digits[0]) == pytest.approx(float(jnp.trace(dense)), rel=1e-10)


@pytest.mark.beyond
def test_three_standard_errors_hold_for_94_of_100_seeds():
    digits = mnist.load()
    whole = digits.train_images.reshape(-1, 784), digits.train_labels
    loss, params, accuracy = trained(whole, (784, 300, 100, 10), 120)
    assert accuracy > 0.95
    # Some of the digits, as products take their time in proportion; with all 4,000 it is the same.
    x, y = whole[0][:500].reshape(4, 125, 784), whole[1][:500].reshape(4, 125)
    operator = curvature.hessian(loss, params, (x, y))
    assert shares(operator, exact_trace(params, x.reshape(-1, 784)), 100) >= 0.94
