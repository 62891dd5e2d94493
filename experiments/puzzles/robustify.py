"""A network that is trained on attacked digits withstands attacks, and one trained on bounds is certified.

Lecture: puzzles, "What is source of instability? Can we robustify network?".
Source: Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to adversarial
attacks, ICLR 2018; Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples, ICLR 2015;
Gowal et al., On the effectiveness of interval bound propagation for training verifiably robust models, 2018.

One small network (convolutions of 4 x 4 with stride 2, of 16 and 32 channels, and 100 units) is trained in
three ways: on digits; on digits that projected gradients attack at each step; and on the bounds of
intervals, whose width grows during the training. The attacked network then meets a whole list of attacks,
and a digit stands if it withstands all of them. The other two show by how much, and what certificates say is
held against attacks digit by digit. With the whole MNIST (--data-dir) the full form takes less than half an
hour on two cores; with the embedded digits about four minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.inspection import adversarial, certify
from jaxtheory.lab import (
    Claim,
    Lab,
    Need,
    Range,
    above,
    at_least,
    equal_to,
    exact,
    experiment,
    mean,
    plots,
    proportion,
    published,
)
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN

ORDINARY, ATTACKED, BOUNDED = "ordinary", "on attacks", "on bounds"
NETWORKS = (ORDINARY, ATTACKED, BOUNDED)
STRIDES, WINDOW = 2, 1
BATCH = 100
"""The number of digits in a minibatch."""
SEGMENT = 20
"""The number of steps between two looks at the clock, and to checkpoints."""
RATE = 2e-3
"""Adam's step size at the start; it falls to zero by a cosine."""
RAMP = 0.15
"""The share of the training on attacks in which epsilon grows to its size."""
WARM, GROWN = 0.05, 0.6
"""The shares of the training on bounds after which epsilon begins to grow, and has its size."""
LEAST = 0.5
"""The weight of the loss without changes at the end of the training on bounds; at its start it is 1."""
WIDER = 1.1
"""The epsilon of training on bounds, in units of that which is certified."""
PART = 1000
"""The number of digits that are attacked in one point of a sweep."""
CURVE = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
FGSM_EPSILON = 0.25
WHOLE = 60_000
"""The number of training digits of the whole MNIST."""
MADRY = "Madry et al. 2018, table 1"


@dataclass(frozen=True)
class Config:
    epochs: Annotated[int, Range(1)] = 8
    """Number of epochs of the training on attacks."""
    steps: Annotated[int, Range(1)] = 7
    """Number of steps of the attack in training."""
    epsilon: Annotated[float, Range(0, 1)] = 0.3
    """Largest change of a pixel that the network trained on attacks is to withstand."""
    bounded_epochs: Annotated[int, Range(1)] = 15
    """Number of epochs of the training on bounds."""
    certified: Annotated[float, Range(0, 1)] = 0.1
    """Largest change of a pixel against which digits are certified."""
    ordinary_epochs: Annotated[int, Range(1)] = 4
    """Number of epochs of the ordinary training."""
    tested: Annotated[int, Range(100, 10_000)] = 10_000
    """Number of test digits, if there are as many; it is rounded down to hundreds."""
    attack_steps: Annotated[int, Range(1)] = 40
    """Number of steps of projected gradients in the test."""
    restarts: Annotated[int, Range(1)] = 5
    """Number of their random starts."""
    queries: Annotated[int, Range(1)] = 3000
    """Number of queries of the square attack, which has no gradients."""


QUICK = Config(
    epochs=4, steps=4, epsilon=0.1, bounded_epochs=6, certified=0.03, ordinary_epochs=2, tested=300,
    attack_steps=10, restarts=2, queries=100,
)  # fmt: skip


@cache
def network() -> tuple[Any, Any]:
    """The initializer of the network and its logits; made once, so that all share what is compiled."""
    options = {"kernel_size": 4, "strides": STRIDES, "window": WINDOW, "head": (100, mnist.CLASSES)}
    init, apply = networks.functional(partial(CNN, (mnist.SIDE, mnist.SIDE), (16, 32), **options))
    return init, training.predictor(apply)


def layers_of(params: Any) -> list[Any]:
    return certify.layers_of(params, strides=STRIDES, window=WINDOW)


def objective_of(name: str, config: Config, total: int) -> Callable[..., Any]:
    """The objective of a training in so many steps, whose state counts them."""
    logits = network()[1]

    def entropy(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.mean(training.cross_entropy(logits(params, x), y))

    def ordinary(params: Any, share: jax.Array, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        del share, key
        return entropy(params, x, y)

    def on_attacks(params: Any, share: jax.Array, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        epsilon = config.epsilon * jnp.minimum(share / RAMP, 1)
        fixed = jax.lax.stop_gradient(params)
        changed = adversarial.pgd(logits, fixed, x, y, key, epsilon=epsilon, steps=config.steps).x
        return entropy(params, jax.lax.stop_gradient(changed), y)

    def on_bounds(params: Any, share: jax.Array, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        del key
        grown = jnp.clip((share - WARM) / (GROWN - WARM), 0, 1)
        epsilon = WIDER * config.certified * grown
        margins = certify.margins(layers_of(params), x, y, epsilon, bounds=(0, 1))
        worst = jnp.mean(training.cross_entropy(-margins, y))
        weight = 1 - (1 - LEAST) * grown
        return weight * entropy(params, x, y) + (1 - weight) * worst

    loss = {ORDINARY: ordinary, ATTACKED: on_attacks, BOUNDED: on_bounds}[name]

    def objective(params: Any, state: Any, batch: Any, key: jax.Array) -> Any:
        share = state["step"].astype(jnp.float32) / total
        return loss(params, share, *batch, key), ({"step": state["step"] + 1}, {})

    return objective


def trained(name: str, epochs: int, digits: mnist.Digits, config: Config, lab: Lab) -> tuple[Any, np.ndarray]:
    """The parameters of a network after its training, and its loss, means over segments."""
    segments = -(-epochs * (len(digits.train_labels) // BATCH) // SEGMENT)
    total = segments * SEGMENT
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, total))
    data = jnp.asarray(digits.train_images), jnp.asarray(digits.train_labels)
    options = {"objective": objective_of(name, config, total), "optimizer": optimizer}
    segment = partial(training.run, data=data, steps=SEGMENT, batch=BATCH, **options)
    # All begin with the same weights, and see the digits in the same order.
    params = network()[0](lab.key("weights"))[0]
    start = training.init(params, lab.key("order"), optimizer=optimizer, state={"step": jnp.int32(0)})
    found = lab.train(f"training {name}", segment, start, segments)
    return found.state.params, np.asarray(found.metrics["loss"]).mean(axis=1), found.seconds
