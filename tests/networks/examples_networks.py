"""Rows of the table of examples: networks."""

import jax
import jax.numpy as jnp
import optax

from jaxtheory.networks import convolution, training
from tests.example_rows import Example, float32


def _misfit(params, batch):
    """Half the mean square of what a linear map leaves of targets."""
    x, y = batch
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2) / 2


def _started(rng):
    """A training at its start, and six examples."""
    params = {"w": float32(rng, 3), "b": float32(rng)}
    start = training.init(params, jax.random.key(0), optimizer=DESCENT["optimizer"])
    return start, (float32(rng, 6, 3), float32(rng, 6))


def _classified(rng):
    """An example's logits and label."""
    return float32(rng, 5), jnp.int32(rng.integers(5))


DESCENT = {"objective": training.stateless(_misfit), "optimizer": optax.sgd(0.1, momentum=0.9)}
ONE_TRAINING = "one training: seeds are mapped over with vmap, as tests/networks/test_training.py does"
TRAINING_EXPORT = (
    "the named tuples of an optimizer's state are the caller's to register: tests/networks/test_training.py "
    "exports a run"
)
TRAINING_DEVICES = "devices average their gradients: tests/networks/test_training.py holds eight against one"

PARAMETERS = "parameters are real floating point: integers are refused, which tests/networks reads"
AS_IT_IS = "an objective is computed in the dtype that its parameters and data have, the caller's choice"
LABELS = "labels are integers always; tests/networks/test_training.py holds integer logits"
LOSSES = "losses stay in float32, as they are summed over many; tests/networks/test_training.py holds it"

EXAMPLES: list[Example] = [
    Example(
        convolution.convolve,
        lambda rng: (float32(rng, 5, 4, 2), float32(rng, 3, 2, 2, 3)),
        {"strides": (2, 1)},
        differentiable=(0, 1),
    ),
    Example(
        training.init,
        lambda rng: ({"w": float32(rng, 3)}, jax.random.key(0)),
        {"optimizer": optax.adam(0.1)},
        (),
        (0,),
        vmap=ONE_TRAINING,
        integer=PARAMETERS,
    ),
    Example(
        training.step,
        _started,
        {**DESCENT, "gradient_norm": True},
        (),
        (1,),
        vmap=ONE_TRAINING,
        export=TRAINING_EXPORT,
        devices=TRAINING_DEVICES,
        integer=PARAMETERS,
        half=AS_IT_IS,
    ),
    Example(
        training.run,
        _started,
        {**DESCENT, "steps": 7, "batch": 2},
        (),
        (1,),
        vmap=ONE_TRAINING,
        export=TRAINING_EXPORT,
        devices=TRAINING_DEVICES,
        integer=PARAMETERS,
        half=AS_IT_IS,
    ),
    Example(training.cross_entropy, _classified, None, (0, 1), (0,), integer=LABELS, half=LOSSES),
    Example(
        training.squared_error, lambda rng: (float32(rng, 5), float32(rng, 5)), leading=(0, 1), half=LOSSES
    ),
    Example(
        training.accuracy,
        _classified,
        None,
        (0, 1),
        grad="it is piecewise constant",
        integer=LABELS,
        half=LOSSES,
    ),
]

NOT_TRACED: dict[str, str] = {
    "networks.convolution.for_each": "a check of arguments; tests/networks reads its errors",
    "networks.convolution.patches": "part of convolve and unshared, whose tests compare them",
    "networks.convolution.pooled": "part of CNN and of certificates, whose tests compare it",
    "networks.convolution.general_dilated": "computes what convolve does; tests/networks compares it",
    "networks.bridge.functional": "makes functions of a module; tests/networks transforms them",
    "networks.mlp.activation_function": "a function from its name",
    "networks.mlp.initializers": "makes functions of variances",
    "networks.training.loss": "makes a function of functions",
    "networks.training.objective": "makes a function of functions; the rows of step and run take one",
    "networks.training.predictor": "makes a function of a function",
    "networks.training.stateless": "makes a function of a function; the rows of step and run take one",
}
