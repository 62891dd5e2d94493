"""The page on one's own model, run as it stands, against the Hessian as a matrix."""

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxtheory.landscape import curvature
from tests.test_docs import blocks


def run(number, most=None):
    code = blocks("docs/landscape.md")[number]
    lines = [line for line in code.splitlines() if line.strip()]
    assert most is None or len(lines) <= most
    found = {}
    exec(code, found)
    return found


def matrix(found):
    """The Hessian over all data at once."""
    flat, unravel = ravel_pytree(found["params"])
    return np.asarray(jax.hessian(lambda flat: found["loss"](unravel(flat), found["data"]))(flat))


def test_a_plain_function_in_ten_lines():
    found = run(0, most=10)
    values = np.linalg.eigvalsh(matrix(found))
    np.testing.assert_allclose(found["pairs"].values, values[:-4:-1], rtol=1e-4)


@pytest.mark.beyond
def test_a_flax_module_in_ten_lines():
    found = run(1, most=10)
    values = np.linalg.eigvalsh(matrix(found))
    nodes = np.asarray(found["density"].nodes)
    assert nodes.max() == pytest.approx(values[-1], rel=1e-3)
    assert nodes.min() == pytest.approx(values[0], rel=1e-2)
    assert list(curvature.layers(found["params"])) == ["layers/0", "layers/2"]


@pytest.mark.beyond
def test_an_equinox_module_in_ten_lines():
    found = run(2, most=10)
    trace = found["trace"]
    assert abs(trace.value - np.trace(matrix(found))) < 4 * trace.standard_error


@pytest.mark.beyond
def test_other_matrices():
    found = run(3)
    whole = found["gauss_newton"].dense()
    np.testing.assert_allclose(found["fisher"].dense(), whole, rtol=0, atol=1e-5 * np.abs(whole).max())
    np.testing.assert_allclose(found["together"].dense(), whole, rtol=0, atol=1e-5 * np.abs(whole).max())
    assert np.linalg.eigvalsh(found["covariance"].dense()).min() > -1e-5
    assert bool(found["step"].converged)
    assert found["layers"].blocks["output"].dimension == 15
