"""Rows of the table of examples: PAC-Bayes bounds."""

from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.statistics import pac_bayes
from tests.example_rows import Example, float32

ONE = "a posterior is a pytree without leading axes: one at a time; tests/statistics maps certificates"
FLOATS = "parameters with integer leaves are refused"
OWN = "parameters of half precision give their own dtype, the caller's choice"
DRAWN = "a share of errors is piecewise constant"
OTHER_DRAWS = "the same key gives other numbers in double precision"


def _prior(rng):
    return {"w": float32(rng, 3)}


def _posterior(rng):
    return pac_bayes.init(_prior(rng), deviation=0.1)


def _with_batches(rng):
    """A posterior, its prior, and examples in batches."""
    return _posterior(rng), _prior(rng), {"x": float32(rng, 4, 5, 3)}, jax.random.key(0)


def _errors(params, batch):
    return jnp.mean(batch["x"] @ params["w"] < 0)


@wraps(pac_bayes.certify)
def _certify(posterior, prior, batches, key):
    return pac_bayes.certify(_errors, posterior, prior, batches, key, draws=2)


@wraps(pac_bayes.sampled_risk)
def _sampled_risk(posterior, _, batches, key):
    return pac_bayes.sampled_risk(_errors, posterior, batches, key, draws=2)


OF_PARAMETERS = {"leading": (), "vmap": ONE, "integer": FLOATS, "half": OWN}

EXAMPLES: list[Example] = [
    Example(
        pac_bayes.init, lambda rng: (_prior(rng),), {"deviation": 0.1}, **OF_PARAMETERS,
        grad="its means are the parameters themselves",
    ),
    Example(
        pac_bayes.draw, lambda rng: (_posterior(rng), jax.random.key(0)), **OF_PARAMETERS, x64=OTHER_DRAWS,
        grad="the objective of training differentiates it",
    ),
    Example(
        pac_bayes.divergence, lambda rng: (_posterior(rng), _prior(rng)), **OF_PARAMETERS,
        grad="the bound is its multiple and a term; that row differentiates both",
    ),
    Example(
        pac_bayes.divergence_bound, lambda rng: (_posterior(rng), _prior(rng)), {"n": 50},
        differentiable=(0, 1), **OF_PARAMETERS,
    ),
    Example(
        pac_bayes.kl_inverse,
        lambda rng: (np.float32(rng.uniform(0.05, 0.5)), np.float32(rng.uniform(0.05, 1))), None, (0, 1),
    ),
    Example(
        _sampled_risk, _with_batches, **OF_PARAMETERS, grad=DRAWN, x64=OTHER_DRAWS,
        jit="a certificate begins with it; that row compiles both",
    ),
    Example(_certify, _with_batches, **OF_PARAMETERS, grad=DRAWN, x64=OTHER_DRAWS),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {
    "statistics.pac_bayes.bounds.objective": "it returns a function; tests/statistics trains with it",
}
