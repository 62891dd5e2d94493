"""The bench of solid harmonic scattering: what is computed, and the products that it counts."""

import jax
import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import scattering3d as bench
from jaxtheory.harmonic import scattering3d
from tests.harmonic.scattering3d.direct import direct

SMALL = {"number": 2, "size": 6, "J": 1, "L": 1}


def test_coefficients_are_in_the_shape_of_kymatio():
    found = np.asarray(bench.ours(**SMALL, gradient=False)())
    assert found.shape == bench.projection(2, 1, 1).shape
    expected = direct(bench.densities(2, 6)[1], 1, 1, powers=bench.POWERS)
    for row, scales in enumerate([(0,), (1,), (0, 1)]):
        for degree in range(2):
            np.testing.assert_allclose(found[1, row, degree], expected[scales, degree], rtol=1e-4)


@pytest.mark.beyond
def test_the_gradient_is_that_of_the_projection():
    x, v = bench.densities(2, 6), bench.projection(2, 1, 1)
    bank = scattering3d.filter_bank((6, 6, 6), 1, 1)
    gradient = bench.ours(**SMALL, gradient=True)()
    direction = np.random.default_rng(3).standard_normal(x.shape)

    def projected(x):
        with jax.enable_x64(True):
            return np.vdot(bench.coefficients(bank, x), v)

    slope = (projected(x + 1e-5 * direction) - projected(x - 1e-5 * direction)) / 2e-5
    assert np.vdot(gradient, direction) == pytest.approx(slope, rel=1e-3)


@pytest.mark.beyond
def test_the_limit_counts_every_field_of_every_path():
    whole, fewer = (6, 6, 6), (5, 5, 5)
    # The finest wavelets have three imaginary parts; those twice as wide do not see the highest frequency.
    finest = [(whole, whole, 1), (whole, whole, 7)]
    assert bench.products(6, 1, 1) == [*finest, (whole, fewer, 2), (fewer, whole, 4), (fewer, whole, 4)]


@pytest.mark.beyond
def test_the_limit_runs():
    assert np.isfinite(bench.bare(**SMALL, gradient=False)()).all()


@pytest.mark.beyond
def test_programs_and_checks_are_those_of_the_cases():
    assert list(bench.programs()) == ["4 x 32^3, J = 2, L = 3, gradient"]
    assert len(bench.checks()) == 2
