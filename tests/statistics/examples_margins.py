"""Rows of the table of examples: margins, norms of layers, and the margin bound."""

from functools import wraps

import jax
import numpy as np

from jaxtheory.core.dtypes import real_arrays
from jaxtheory.statistics import margins
from tests.example_rows import Example, float32

LABELS = np.array([0, 2, 1, 1, 0])
ONE_NETWORK = "one network at a time: a pytree of parameters has no leading axes"
FLOATS = "parameters with integer leaves are refused"
OWN = "logits are the caller's, and computed in the dtype of the parameters"


def _logits(params, x):
    return jax.nn.relu(x @ params["first"]) @ params["second"]


def _network(rng):
    return {"first": float32(rng, 4, 6), "second": float32(rng, 6, 3)}, float32(rng, 5, 4)


def _of_logits(function):
    """Margins of one network's logits for fixed labels."""

    @wraps(function)
    def fixed(params, x):
        return function(_logits, params, x, LABELS)

    return fixed


@wraps(margins.spectral_norm)
def _spectral_norm(kernel):
    (kernel,), back = real_arrays(kernel=kernel)
    linear = lambda x: x.astype(kernel.dtype) @ kernel  # noqa: E731
    return back(margins.spectral_norm(linear, kernel.shape[:1], jax.random.key(0), tolerance=1e-5))


@wraps(margins.two_one_norm)
def _two_one_norm(kernel):
    (kernel,), back = real_arrays(kernel=kernel)
    return back(margins.two_one_norm(lambda x: x.astype(kernel.dtype) @ kernel, kernel.shape[:1]))


def _norms(rng, width=8):
    return margins.LayerNorms(*np.float32(rng.uniform(1, 2, (2, 3))), width)


EXAMPLES: list[Example] = [
    Example(
        _of_logits(margins.raw), _network, None, (1,), (0, 1),
        vmap="a set of examples with labels of its own",
        x64="labels and logits are the caller's; it is the difference of two of these",
        half=OWN,
    ),
    Example(
        _of_logits(margins.normalized), _network, None, (1,), (0, 1),
        vmap="a set of examples with labels of its own", half=OWN, integer=FLOATS,
    ),
    Example(
        margins.dense_norms, lambda rng: _network(rng)[:1], None, (0,), vmap=ONE_NETWORK, integer=FLOATS,
        half="norms of weights in half precision are given in single",
    ),
    Example(
        _spectral_norm, lambda rng: (float32(rng, 4, 3),), vmap=ONE_NETWORK, tolerance=1e-4,
        grad="its vector is that of the last step: tests/statistics holds its derivative against the SVD",
    ),
    Example(_two_one_norm, lambda rng: (float32(rng, 4, 3),), vmap=ONE_NETWORK),
    Example(margins.spectral_complexity, lambda rng: (_norms(rng),), integer="a record has float leaves"),
    Example(
        margins.bound, lambda rng: (float32(rng, 20), _norms(rng), np.float32(7.3)), {"margin": 0.5}, (0,),
        vmap="the margins of one network", grad="norms are rounded to a grid, and a share is one, too",
        export=True, half="its terms cancel nothing, but grids are finer than bfloat16",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {}
