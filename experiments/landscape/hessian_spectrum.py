"""The Hessian of a network that learns K classes has a bulk near zero, and beside it K - 1 or K outliers.

Lecture: landscape, "what does the landscape of the empirical risk look like?".
Source: Sagun, Evci, Güney, Dauphin and Bottou, Empirical analysis of the Hessian of over-parametrized neural
networks, 2017; Papyan, Measurements of three-level hierarchical structure in the outliers in the spectrum of
deepnet Hessians, ICML 2019; Ghorbani, Krishnan and Xiao, An investigation into neural net optimization via
Hessian eigenvalue density, ICML 2019.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxtheory import networks
from jaxtheory.landscape import curvature, spectrum
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.mlp import MLP
from jaxtheory.lab import Range

OUTPUTS = 10
MOST = 2 * OUTPUTS + 1
LOOK = 5
PASSED = 0.95
MOMENTS = ("start", "95 % accuracy", "end")
SIDE = 14
HIDDEN = -1e9

NETWORKS: dict[str, Callable[..., Any]] = {
    "MLP": partial(MLP, (SIDE**2, 64, 32, OUTPUTS)),
    "CNN": partial(CNN, (SIDE, SIDE), (8, 16), head=(OUTPUTS,), strides=2, window=1),
    "small": partial(MLP, (49, 12, OUTPUTS)),
}


class Digits(NamedTuple):
    x: Any
    y: Any
    used: Any
    squared: Any


@cache
def network(name: str) -> Any:
    return networks.functional(NETWORKS[name])


@cache
def loss_of(name: str) -> Callable[..., Any]:
    predict = training.predictor(network(name).apply)

    def loss(params: Any, batch: Digits) -> Any:
        outputs = predict(params, batch.x)
        errors = training.squared_error(
            jnp.where(batch.used, outputs, 0), jax.nn.one_hot(batch.y, OUTPUTS, dtype=outputs.dtype)
        )
        entropies = training.cross_entropy(jnp.where(batch.used, outputs, HIDDEN), batch.y)
        return jnp.mean(jnp.where(batch.squared, errors, entropies))

    return loss


def accuracy(name: str, params: Any, data: Digits) -> Any:
    outputs = training.predictor(network(name).apply)(params, data.x)
    return jnp.mean(training.accuracy(jnp.where(data.used, outputs, HIDDEN), data.y))


@partial(jax.jit, static_argnames=("name", "looks", "batch", "rate"))
def train(key, data, *, name, looks, batch, rate):
    first, second = jax.random.split(key)
    params, _ = network(name).init(first)
    objective = training.stateless(loss_of(name))
    optimizer = optax.adam(rate)
    state = training.init(params, second, optimizer=optimizer)

    def look(carry, _):
        state, best, passed = carry
        state, _ = training.run(state, data, objective=objective, optimizer=optimizer, steps=LOOK, batch=batch)
        reached = accuracy(name, state.params, data)
        now = (reached > PASSED) & ~passed
        best = jax.tree.map(lambda new, old: jnp.where(now, new, old), state.params, best)
        return (state, best, passed | now), reached

    (state, best, passed), accuracies = jax.lax.scan(look, (state, params, False), length=looks)
    return (params, best, state.params), accuracies
