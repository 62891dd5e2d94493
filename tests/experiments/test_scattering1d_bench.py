"""The bench of one-dimensional scattering: what is computed, and the transforms that it counts."""

import re

import jax
import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import scattering1d as bench
from jaxtheory.harmonic import scattering1d

SMALL = {"number": 2, "length": 64, "J": 3, "Q": 2}


def test_the_transforms_that_are_counted_are_those_of_the_program():
    needed = bench.transforms(64, 3, 2)
    bank = scattering1d.filter_bank(64, 3, 2)
    text = jax.jit(scattering1d.scatter).lower(bank, bench.signals(1, 64)).as_text()
    found = {False: 0, True: 0}
    for line in text.splitlines():
        if "stablehlo.fft" in line and "IRFFT" not in line:
            (shape,) = re.findall(r": \(tensor<([0-9x]+)x", line)
            found["RFFT" in line] += int(np.prod([int(size) for size in shape.split("x")]))
    for real in (False, True):
        assert found[real] == sum(size * many for (size, kind), many in needed.items() if kind is real)


@pytest.mark.beyond
def test_the_gradient_is_that_of_the_projection():
    x, v = bench.signals(2, 64), bench.projection(2, 64, 3, 2)
    bank = scattering1d.filter_bank(64, 3, 2)
    assert bench.ours(**SMALL, gradient=False)().shape == v.shape
    gradient = bench.ours(**SMALL, gradient=True)()
    direction = bench.signals(3, 64)[1:]

    def projected(x):
        return np.vdot(np.asarray(scattering1d.scatter(bank, x), float), v)

    slope = (projected(x + 1e-2 * direction) - projected(x - 1e-2 * direction)) / 2e-2
    assert np.vdot(gradient, direction) == pytest.approx(slope, rel=1e-2)


def test_the_limit_runs():
    assert np.isfinite(bench.bare(**SMALL, gradient=False)()).all()


@pytest.mark.beyond
def test_programs_and_checks_are_those_of_the_cases():
    named = bench.programs()
    assert list(named) == ["4 x 65536, J = 10, Q = 8, forward", "128 x 1024, J = 5, Q = 8, gradient"]
    assert len(bench.checks()) == 2
