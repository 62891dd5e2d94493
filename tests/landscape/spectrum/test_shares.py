"""The share of negative curvature and the effective rank against dense spectra."""

import jax
import numpy as np
import pytest

from jaxtheory.landscape import spectrum
from tests.landscape.spectrum import operators

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def found():
    """A density of many probes, each of which sees the whole spectrum, and the eigenvalues."""
    with jax.enable_x64(True):
        eigenvalues = operators.with_outliers(40)
        _, operator = operators.matrix(eigenvalues)
        return spectrum.density(operator, KEY, probes=200, steps=40), eigenvalues


def within(estimate, truth):
    """Whether the truth lies within four standard errors, which are not large either."""
    error = float(estimate.standard_error)
    assert 0 < error < 0.1 * abs(truth)
    return abs(float(estimate.value) - truth) < 4 * error


def test_shares_are_those_of_the_eigenvalues(found, x64):
    density, eigenvalues = found
    sizes = np.abs(eigenvalues)
    assert within(spectrum.negative_share(density), np.mean(eigenvalues < 0))
    assert within(spectrum.negative_share(density, threshold=0.5), np.mean(eigenvalues < -0.5))
    expected = sizes[eigenvalues < 0].sum() / sizes.sum()
    assert within(spectrum.negative_share(density, weighted=True), expected)


def test_the_effective_rank_is_that_of_the_eigenvalues(found, x64):
    density, eigenvalues = found
    shares = np.abs(eigenvalues) / np.abs(eigenvalues).sum()
    assert within(spectrum.effective_rank(density), np.exp(-(shares * np.log(shares)).sum()))


def test_jackknife_of_a_mean_is_its_standard_error(found, x64):
    density, _ = found
    shares = (np.asarray(density.weights) * (np.asarray(density.nodes) < 0)).sum(1)
    estimate = spectrum.negative_share(density)
    assert float(estimate.value) == pytest.approx(shares.mean())
    assert float(estimate.standard_error) == pytest.approx(shares.std(ddof=1) / len(shares) ** 0.5)


def test_one_probe_has_no_standard_error():
    _, operator = operators.matrix([1.0, 1.0, -2.0], dtype=np.float32)
    density = spectrum.density(operator, KEY, probes=1, steps=2)
    for estimate in (spectrum.effective_rank(density), spectrum.negative_share(density)):
        assert np.isfinite(estimate.value)
        assert np.isnan(estimate.standard_error)


def test_options_are_checked(own_errors, found):
    with pytest.raises(ValueError, match=r"threshold is -1.0: take a number of 0 or more"):
        spectrum.negative_share(found[0], threshold=-1.0)
    with pytest.raises(TypeError, match="weighted is 1: take True or False"):
        spectrum.negative_share(found[0], weighted=1)
