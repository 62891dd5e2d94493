"""Solid harmonics and the filters made of them."""

import jax
import numpy as np
import pytest
from scipy.special import sph_harm_y

from jaxtheory.harmonic import scattering3d
from jaxtheory.harmonic.scattering3d import filters
from tests.harmonic.scattering3d.direct import transform


def test_harmonics_of_a_degree_span_those_of_scipy(rng):
    points = rng.standard_normal((3, 40))
    radius = np.linalg.norm(points, axis=0)
    angles = np.arccos(points[2] / radius), np.arctan2(points[1], points[0])
    for harmonic in filters.harmonics(4):
        degree, order = harmonic
        expected = sph_harm_y(degree, abs(order), *angles) * radius**degree
        part = expected.imag if order < 0 else expected.real
        factor = np.sqrt(2) * (-1) ** order if order else 1
        np.testing.assert_allclose(filters.solid(harmonic, *points), factor * part, rtol=0, atol=1e-12)


def test_harmonics_have_the_symmetry_that_is_said_of_them(rng):
    points = rng.standard_normal((3, 10))
    assert len(filters.harmonics(3)) == 16
    for harmonic in filters.harmonics(3):
        for axis, odd in enumerate(harmonic.parity):
            flipped = points.copy()
            flipped[axis] *= -1
            expected = (-1) ** odd * filters.solid(harmonic, *points)
            np.testing.assert_allclose(filters.solid(harmonic, *flipped), expected, atol=1e-12)


def test_wavelets_of_a_degree_have_the_energy_of_those_defined(x64):
    shape = (10, 8, 7)
    bank = scattering3d.filter_bank(shape, J=1, L=3, sigma_0=0.8)
    seen = tuple(slice(0, size // 2 + 1) for size in shape)
    degrees = np.array([one.degree for one in filters.harmonics(3)])
    for j in range(2):
        for degree in range(4):
            every = range(-degree, degree + 1)
            # The highest frequency of an even size is a negative one there.
            expected = sum(abs(transform(shape, bank.sigma(j), degree, m)) ** 2 for m in every)[seen]
            found = (np.asarray(bank.wavelets)[j, degrees == degree] ** 2).sum(axis=0)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_wavelets_of_degree_0_are_gaussians_of_mass_one(x64):
    bank = scattering3d.filter_bank((24, 24, 24), J=1, L=0, sigma_0=1.0)
    for j, sigma in ((0, 1.0), (1, 2.0)):
        symmetric = np.asarray(bank.wavelets)[j, 0]
        index = np.abs(np.fft.fftfreq(24, 1 / 24)).astype(int)
        in_space = np.fft.ifftn(symmetric[np.ix_(index, index, index)]).real
        distance = np.fft.fftfreq(24, 1 / 24)
        one = np.exp(-(distance**2) / (2 * sigma**2)) / np.sqrt(2 * np.pi * sigma**2)
        expected = one[:, None, None] * one[:, None] * one
        # A Gaussian of one pixel has something beyond the highest frequency.
        np.testing.assert_allclose(in_space, expected, atol=3e-3 if j == 0 else 1e-9)


@pytest.mark.parametrize(("L", "size", "sigma"), [(3, 32, 4.0), (0, 17, 2.0), (2, 64, 4.0)])
def test_what_is_left_out_is_negligible(L, size, sigma):
    smallest = 1e-7
    number = filters.kept(sigma, L, size, smallest)
    assert 1 < number < size // 2 + 1
    shape = (size, 1, 1)
    every = [abs(filters.wavelet(one, sigma, shape)).ravel() for one in filters.harmonics(L)]
    for values in every:
        if values.max() > 0:
            assert values[number:].max() <= smallest * max(one.max() for one in every)


def test_the_leaf_of_a_bank_is_its_filters():
    bank = scattering3d.filter_bank((8, 9, 10), J=1, L=1)
    assert [leaf.shape for leaf in jax.tree.leaves(bank)] == [(2, 4, 5, 5, 6)]
    assert bank.sigma(1) == 2
