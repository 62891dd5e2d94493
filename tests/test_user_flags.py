"""Solvers and transforms as a user runs them: one device, ordinary optimization, a pool of two threads.

The other tests run with eight virtual devices and little optimization (`conftest.py`). Here rows of the table
of examples run in a process of their own with a user's flags under `jit`, `vmap` and `grad`, and plain where
there is no `vmap`, which would call the same programs; a process that does not return in time is killed, and
the row and form at which it stood are named.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import EXAMPLES

ROOT = Path(__file__).parents[1]
GROUP = 24
"""Rows for one process: starting one costs as much as compiling several rows."""

WORKER = """
import sys
from functools import partial

import jax, jax.numpy as jnp, numpy as np

assert jax.device_count() == 1
from tests.examples import EXAMPLES

chosen = set(sys.argv[1:])
for row in EXAMPLES:
    if row.id not in chosen:
        continue
    function = partial(row.function, **(row.options or {}))
    samples = [row.make(np.random.default_rng(seed)) for seed in range(2)]
    arguments = samples[0]
    axes = tuple(0 if i in row.leading else None for i in range(len(arguments)))
    stacked = tuple(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *column) if axis == 0 else column[0]
        for axis, column in zip(axes, zip(*samples))
    )
    wrt = row.leading if row.differentiable is None else row.differentiable

    def floats(tree):
        return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]

    def total(*arguments):
        return sum(jnp.sum(jnp.real(leaf)) for leaf in floats(function(*arguments)))

    forms = {
        "plain": lambda: function(*arguments),
        "jit": lambda: jax.jit(function)(*arguments),
        "vmap": lambda: jax.vmap(function, in_axes=axes)(*stacked),
        "grad": lambda: jax.grad(total, argnums=wrt)(*arguments),
    }
    for form, call in forms.items():
        applies = row.vmap is not True if form == "plain" else getattr(row, form) is True
        if applies:
            print(row.id, form, flush=True)
            found = jax.block_until_ready(call())
            assert form == "vmap" or all(np.isfinite(leaf).all() for leaf in floats(found)), (row.id, form)
print("done", flush=True)
"""

HANG = """
import jax, numpy as np
from jaxtheory.sparse import pursuit

assert jax.device_count() == 1
rng = np.random.default_rng(0)
D, X = np.float32(rng.standard_normal((8, 30))), np.float32(rng.standard_normal((2, 50, 30)))
whole = pursuit.lasso(D, X, 0.1)
mapped = jax.vmap(lambda x: pursuit.lasso(D, x, 0.1))(X)
assert mapped.converged.all() and whole.converged.all()
np.testing.assert_allclose(mapped.codes, whole.codes, atol=1e-6)
print("done", flush=True)
"""

HANG_FURTHER = HANG.replace(
    'print("done", flush=True)',
    """
one = jax.jit(jax.vmap(lambda x: pursuit.lasso(D, x, 0.1).codes))(X)
np.testing.assert_allclose(one, whole.codes, atol=1e-6)
slope = jax.vmap(jax.grad(lambda x: pursuit.lasso(D, x, 0.1).codes.sum()))(X)
expected = jax.grad(lambda x: pursuit.lasso(D, x, 0.1).codes.sum())(X)
np.testing.assert_allclose(slope, expected, atol=1e-4)
greedy = jax.vmap(lambda x: pursuit.orthogonal_matching_pursuit(D, x, sparsity=3).codes)(X)
np.testing.assert_allclose(greedy, pursuit.orthogonal_matching_pursuit(D, X, sparsity=3).codes, atol=1e-6)
print("done", flush=True)
""",
)


def as_a_user(code: str, *arguments: str, seconds: float) -> None:
    """Runs Python code with a user's flags on two processors at most, and kills it when the time is over."""
    environment = {key: value for key, value in os.environ.items() if key not in ("XLA_FLAGS", "PYTHONPATH")}
    environment |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    if hasattr(os, "sched_setaffinity"):
        # XLA's pool has as many threads as the process may use processors.
        code = f"import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])\n{code}"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        pytest.fail(f"did not return within {seconds} s: {output.splitlines()[-1:]} {errors[-500:]}")
    assert process.returncode == 0, f"{output.splitlines()[-1:]}\n{errors[-3000:]}"
    assert output.splitlines()[-1] == "done"


@pytest.mark.beyond
def test_a_lasso_under_more_transformations_returns():
    as_a_user(HANG_FURTHER, seconds=240)


def test_a_process_that_does_not_return_is_killed_and_says_where_it_stood():
    stuck = "import time; print('a row', flush=True); time.sleep(60)"
    with pytest.raises(pytest.fail.Exception, match=r"did not return within 2 s: \[.a row.\]"):
        as_a_user(stuck, seconds=2)


GREEDY = "sparse.pursuit.greedy.orthogonal_matching_pursuit"
SMALL = ("coherence", "guarantees", "interpolation", "mlp", "norms", "proximal", "training", "wavelets")
"""Modules of formulas: neither solvers nor transforms."""
IDS = list(
    {row.id.split("[")[0]: row.id for row in EXAMPLES if not set(SMALL) & set(row.id.split("."))}.values()
)
"""One row of each solver and transform: the other rows of a function run with the flags of other tests."""
IDS += [row.id for row in EXAMPLES if row.id.startswith(GREEDY) and row.id not in IDS]
GROUPS = [IDS[first : first + GROUP] for first in range(0, len(IDS), GROUP)]


@pytest.mark.beyond
@pytest.mark.parametrize("group", GROUPS, ids=[group[0] for group in GROUPS])
def test_rows_of_the_table_with_a_users_flags(group):
    as_a_user(WORKER, *group, seconds=60 * GROUP)


@pytest.mark.beyond
def test_a_few_rows_and_a_lasso_under_vmap_return():
    chosen = [row.id for row in EXAMPLES if row.id in (GREEDY, "sparse.proximal.soft_threshold")]
    assert len(chosen) == 2
    # One process for both: starting it takes as long as they do.
    as_a_user(WORKER.replace('"done"', '"a lasso under vmap"') + HANG, *chosen, seconds=240)
