"""Every contraction of a transform or solver carries the highest precision, in the program as it is lowered.

On processors precision makes no difference, so that no test of numbers would notice: accelerators round what
they multiply to bfloat16 unless the program says otherwise.
"""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.lab.machines import programs
from tests.examples import EXAMPLES

pytestmark = pytest.mark.beyond
ROWS = [
    row
    for row in EXAMPLES
    if row.id.startswith(("harmonic.scattering2d.", "harmonic.scattering3d.", "sparse."))
]
BENCHED = {
    name: program
    for name, program in programs.programs().items()
    if not name.startswith("ensembles: ")  # networks in training, at the precision that the user sets
}
SHIFTS = {"factorization: 200 digits, 512 layers"} | {
    name for name in BENCHED if name.startswith("scattering1d: ") and name.endswith(", forward")
}
"""Programs that contract nothing: a filter of three taps is a sum of shifted signals, and one-dimensional
scattering is made of Fourier transforms."""


def contractions(function, arguments):
    """The lines of a lowered program that contract."""
    lowered = (function if hasattr(function, "lower") else jax.jit(function)).lower(*arguments)
    return [
        line
        for line in lowered.as_text().splitlines()
        if re.search(r"stablehlo\.(dot_general|dot|convolution)\b", line)
    ]


def exact(line):
    """Whether a contraction carries the highest precision for both of its operands."""
    return bool(re.search(r"precision = \[HIGHEST, HIGHEST\]|precision HIGHEST>, #\S+ HIGHEST>\]", line))


def all_exact(lines):
    assert [line.strip() for line in lines if not exact(line)] == []


@pytest.mark.parametrize("name", BENCHED)
def test_programs_of_the_benches(name):
    lines = contractions(*BENCHED[name][:2])
    assert bool(lines) is (name not in SHIFTS)
    all_exact(lines)


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_transforms_and_their_gradients(row):
    arguments = row.make(np.random.default_rng(0))

    def function(*arguments):
        return row.function(*arguments, **(row.options or {}))

    def total(*arguments):
        return sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(function(*arguments)))

    all_exact(contractions(function, arguments))
    wrt = row.leading if row.differentiable is None else row.differentiable
    if row.grad is True:
        all_exact(contractions(jax.grad(total, argnums=wrt), arguments))


@pytest.mark.parametrize("contract", [jnp.matmul, jnp.convolve, partial(jnp.einsum, "ij,ij")])
@pytest.mark.parametrize(("precision", "expected"), [("highest", True), ("high", False), (None, False)])
def test_a_contraction_without_it_is_found(contract, precision, expected):
    shape = (8,) if contract is jnp.convolve else (8, 8)
    x = jax.ShapeDtypeStruct(shape, np.float32)
    [line] = contractions(partial(contract, precision=precision), (x, x))
    assert exact(line) is expected
