"""Rows of the table of examples: deep linear networks."""

from functools import wraps
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.landscape import linear_networks
from tests.example_rows import Example, float32

WIDTHS = (4, 3, 3, 2)
SUBSET = np.array([True, False])
ONE_NETWORK = "one network at a time, which vmap takes over many"
ONE_DATA = "one set of data at a time"
SIGNS = "eigenvectors and singular vectors have a sign, or a sense of rotation, that is free"
NO_NUMBERS = "its numbers are drawn from the key alone"
RECORD = "moments are a record of floating numbers, as `moments` gives them"
ITS_MOMENTS = "it computes in the dtype of the moments"


def _weights(rng):
    return tuple(float32(rng, b, a) for a, b in pairwise(WIDTHS))


def _data(rng):
    return float32(rng, 12, WIDTHS[0]), float32(rng, 12, WIDTHS[-1])


def _moments(rng):
    return linear_networks.moments(*_data(rng))


@wraps(linear_networks.representative)
def _made(moments, subset):
    return linear_networks.representative(moments, WIDTHS, subset, middle_rank=2)


def _network(function, make, **facts):
    defaults = {"vmap": ONE_NETWORK, "integer": "matrices in a tuple; tests/landscape gives integers"}
    return Example(function, make, leading=(0,), **defaults | facts)


EXAMPLES: list[Example] = [
    # landscape.linear_networks.model
    Example(
        linear_networks.init,
        lambda _: (jax.random.key(0),),
        {"widths": WIDTHS},
        (0,),
        vmap="keys have no leading axes; vmap takes the function over many",
        grad=NO_NUMBERS,
        x64="it draws in the default dtype",
        integer=NO_NUMBERS,
        half=NO_NUMBERS,
    ),
    _network(linear_networks.end_to_end, lambda rng: (_weights(rng),)),
    _network(linear_networks.middle, lambda rng: (_weights(rng),)),
    Example(linear_networks.apply, lambda rng: (_weights(rng), float32(rng, 4)), None, (1,), (0, 1)),
    _network(linear_networks.loss, lambda rng: (_weights(rng), _data(rng))),
    # landscape.linear_networks.theory
    Example(
        linear_networks.moments,
        _data,
        leading=(0, 1),
        vmap=ONE_DATA,
        grad=SIGNS,
        half="the spectrum of rounded moments is not that of the moments",
        tolerance=1e-4,
    ),
    _network(linear_networks.moment_loss, lambda rng: (_weights(rng), _moments(rng)), half=ITS_MOMENTS),
    Example(
        linear_networks.margins,
        lambda rng: (_moments(rng),),
        vmap=ONE_DATA,
        grad="its least gap is a minimum, which has kinks",
        integer=RECORD,
        half=ITS_MOMENTS,
        tolerance=1e-4,
    ),
    Example(
        linear_networks.subset_map,
        lambda rng: (_moments(rng), jnp.asarray(SUBSET)),
        None,
        (1,),
        (0,),
        integer="a subset is a mask",
        half=ITS_MOMENTS,
    ),
    Example(
        linear_networks.subset_loss,
        lambda rng: (_moments(rng), jnp.asarray(SUBSET)),
        None,
        (1,),
        (0,),
        integer="a subset is a mask",
        half=ITS_MOMENTS,
    ),
    Example(
        linear_networks.assign,
        lambda rng: (_moments(rng), float32(rng, 2, 4), linear_networks.subsets(2, 2)),
        None,
        (1,),
        (0, 1),
        half=ITS_MOMENTS,
    ),
    # landscape.linear_networks.representatives
    Example(
        _made,
        lambda rng: (_moments(rng), jnp.asarray(SUBSET)),
        None,
        (1,),
        (0,),
        vmap="one subset at a time, which vmap takes over all",
        grad=SIGNS,
        integer="a subset is a mask",
        half=ITS_MOMENTS,
    ),
    Example(
        linear_networks.unbalanced,
        lambda rng: (jax.random.key(0), _weights(rng)),
        None,
        (1,),
        vmap=ONE_NETWORK,
        x64="it draws in the dtype of the matrices",
        integer="matrices in a tuple; tests/landscape gives integers",
        tolerance=1e-4,
    ),
    Example(
        linear_networks.lower_point,
        lambda rng: (_moments(rng), tuple(jnp.zeros_like(w) for w in _weights(rng)), 0.5),
        None,
        (1,),
        vmap=ONE_NETWORK,
        grad="at a saddle, its direction is that of singular vectors of zero, which is free",
        x64="its direction is that of singular vectors of zero, which is free",
        integer="matrices in a tuple; tests/landscape gives integers",
        half=ITS_MOMENTS,
    ),
]

NOT_TRACED: dict[str, str] = {
    "landscape.linear_networks.theory.subsets": "it lists masks by two numbers, in NumPy",
}
