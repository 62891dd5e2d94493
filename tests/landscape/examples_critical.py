"""Rows of the table of examples: searches for critical points."""

from functools import wraps

import jax.numpy as jnp

from jaxtheory.core.dtypes import real_arrays
from jaxtheory.landscape import critical
from jaxtheory.landscape.curvature import Matrix
from tests.example_rows import Example, float32

ITS_OWN_DTYPE = "the loss is the caller's, and computes in the dtype of its parameters"
ONE_START = "one start at a time, which vmap takes over many: tests/landscape/test_critical.py does"
INTEGERS = "parameters are floating: integers are refused, which tests/landscape/test_critical.py reads"
ENDS = "its end does not depend on the start, up to what stops it"


def _bowls(w, batch):
    """Double wells, coupled a little."""
    return jnp.sum((w**2 - 1) ** 2) / 4 + 0.05 * jnp.sum(batch * w) ** 2


def _at(function):
    """A search or a classification of one loss, as a function of start and data."""

    @wraps(function)
    def of(start, batch, **options):
        found = function(_bowls, start, batch, **options)
        return found.params, found.loss, found.eigenvalues, found.index

    return of


@wraps(critical.minres)
def _solved(factor, target):
    (factor,), _ = real_arrays(factor=factor)
    identity = jnp.eye(factor.shape[-1], dtype=factor.dtype)
    matrix = factor + jnp.swapaxes(factor, -1, -2) + 6 * identity
    return critical.minres(Matrix(matrix), target).solution


def _start(rng):
    return float32(rng, 3), float32(rng, 3)


def _row(function, **options):
    return Example(
        _at(function),
        _start,
        options or None,
        (0, 1),
        vmap=ONE_START,
        grad=ENDS,
        integer=INTEGERS,
        half=ITS_OWN_DTYPE,
        tolerance=1e-4,
    )


EXAMPLES: list[Example] = [
    _row(critical.levenberg_marquardt, max_steps=50),
    _row(critical.saddle_free_newton, max_steps=50),
    _row(critical.newton_minres, max_steps=50),
    _row(critical.gradient_descent, rate=0.1, max_steps=200),
    _row(critical.classify),
    Example(
        _solved,
        lambda rng: (float32(rng, 4, 4), float32(rng, 4)),
        leading=(0, 1),
        vmap="one operator at a time, as every operator",
        grad="a loop that ends by its residual has no reverse mode; the solution's derivative is a solve",
        integer="its target is a vector like the operator's template, of its dtype",
        half=ITS_OWN_DTYPE,
        tolerance=1e-4,
    ),
]

NOT_TRACED: dict[str, str] = {}
