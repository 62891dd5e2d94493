"""The bench of scattering spectra: what is computed, and the transforms that it counts."""

import re

import jax
import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import spectra as bench
from jaxtheory.harmonic import spectra
from tests.harmonic.spectra.direct import direct

SMALL = {"number": 2, "size": 16, "J": 1, "L": 2}


def transforms(function, *arguments):
    """The numbers of points of all Fourier transforms of a program, there and back."""
    text = jax.jit(function).lower(*arguments).as_text()
    shapes = re.findall(r"stablehlo\.fft.*?-> tensor<([0-9x]+)x", text)
    return sorted(np.prod([int(size) for size in shape.split("x")]) for shape in shapes)


@pytest.mark.beyond
def test_the_numbers_are_those_of_the_spectra():
    found = bench.ours(**SMALL)()
    bank = spectra.filter_bank((16, 16), J=1, L=2)
    x = bench.images(2, 16)
    np.testing.assert_allclose(found, np.stack([direct(bank, one) for one in x]), atol=1e-5)
    # What the bench says of its case, whatever the size of the images.
    assert len(spectra.paths(spectra.filter_bank((32, 32), bench.SIZE["J"], bench.SIZE["L"]))) == 4041


def test_the_limit_has_the_transforms_of_the_program():
    x = bench.images(1, 16)
    bank = spectra.filter_bank((16, 16), J=1, L=2)
    limit = bench.bare(**SMALL | {"number": 1})
    assert np.isfinite(limit()).all()
    ours = transforms(lambda x: spectra.estimate(bank, x, chunk=1), x)
    bare = transforms(limit.func, *limit.args)
    # The program is lowered for processors and for others.
    assert ours in (bare, sorted(2 * bare))


@pytest.mark.beyond
def test_programs_and_checks_are_those_of_the_case():
    assert list(bench.programs()) == [case.name for case in bench.CASES]
    assert len(bench.checks()) == 1
