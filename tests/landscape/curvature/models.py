"""A small network with its data, and dense matrices by other ways than products."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

WIDTHS = (3, 4, 2)
EXAMPLES = 11


def params(rng):
    """Kernels and biases of two layers."""
    return {
        name: {"kernel": rng.standard_normal((fan_in, fan_out)), "bias": rng.standard_normal(fan_out)}
        for name, fan_in, fan_out in zip(("first", "second"), WIDTHS, WIDTHS[1:])
    }


def data(rng, examples=EXAMPLES):
    """Inputs and labels."""
    return rng.standard_normal((examples, WIDTHS[0])), rng.integers(0, WIDTHS[-1], examples)


def cut(batch, *ends):
    """A batch as a list of batches that end where it is said."""
    starts = (0, *ends)
    cuts = [slice(low, high) for low, high in zip(starts, (*ends, None))]
    return [jax.tree.map(lambda leaf, one=one: leaf[one], batch) for one in cuts]


def outputs(params, x):
    hidden = jnp.tanh(x @ params["first"]["kernel"] + params["first"]["bias"])
    return hidden @ params["second"]["kernel"] + params["second"]["bias"]


def losses(params, batch):
    """The cross entropy of each example."""
    x, labels = batch
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs(params, x)), labels[:, None], axis=1)[:, 0]


def loss(params, batch):
    return jnp.mean(losses(params, batch))


def loss_of_outputs(z, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], axis=1))


def noisy(function):
    """A loss whose inputs are disturbed by draws."""

    def with_noise(params, batch, key):
        x, labels = batch
        return function(params, (x + jax.random.normal(key, x.shape), labels))

    return with_noise


def with_its_key(function, key, number):
    """A loss that draws, with the key of one batch."""
    return lambda params, batch: function(params, batch, jax.random.fold_in(key, number))


def flat(params):
    """The parameters as one axis, and functions of them as functions of that."""
    array, unravel = ravel_pytree(params)
    return array, lambda function: lambda array, *args: function(unravel(array), *args)


def hessian(function, params, batch):
    array, of_array = flat(params)
    return np.asarray(jax.jit(jax.hessian(of_array(function)))(array, batch))


def jacobian(function, params, x):
    """The Jacobian, with the parameters on the last axis."""
    array, of_array = flat(params)
    return np.asarray(jax.jit(jax.jacobian(of_array(function)))(array, x))


def close(found, expected, digits=1e-10):
    """Whether matrices differ by a small part of their norm only."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=digits * np.linalg.norm(expected))
