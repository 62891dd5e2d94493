"""Energies along paths of any order, against sums over the paths and against what theory says of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.harmonic import scattering2d, wavelets


@functools.cache
def small_bank(wavelet=wavelets.morlet, J=2, L=4):
    return scattering2d.filter_bank((12, 16), J, L, boundary="periodic", wavelet=wavelet)


def layers(bank, x, order, decreasing):
    """Moduli by order, at full resolution, in NumPy: a list of (last scale, map) for each order."""
    filters = np.asarray(bank.wavelets, float)
    found = [[(-1, x.astype(float))]]
    for _ in range(order):
        spectra = [(j, np.fft.fft2(u)) for j, u in found[-1]]
        found.append(
            [
                (index // bank.L, abs(np.fft.ifft2(spectrum * one)))
                for j, spectrum in spectra
                for index, one in enumerate(filters)
                if index // bank.L > j or not decreasing
            ]
        )
    return found


def averaged(bank, u):
    return np.fft.ifft2(np.fft.fft2(u) * np.asarray(scattering2d.low_pass_2d(bank), float)).real


def full_resolution(bank, x, order):
    """The scattering transform by order without subsampling, paths of decreasing frequency."""
    return [
        np.stack([averaged(bank, u) for _, u in layer])
        for layer in layers(bank, x, order, decreasing=True)
        if layer
    ]


@pytest.mark.beyond
@given(
    seed=st.integers(0, 2**32 - 1),
    wavelet=st.sampled_from([wavelets.morlet, wavelets.spline]),
    J=st.integers(1, 2),
    L=st.integers(2, 5),
    distance=st.floats(1e-3, 10),
    order=st.integers(0, 2),
)
def test_scattering_without_subsampling_is_nonexpansive(seed, wavelet, J, L, distance, order):
    bank = small_bank(wavelet, J, L)
    x, change = np.random.default_rng(seed).standard_normal((2, 12, 16))
    y = x + distance * change
    bound = max(1, float(scattering2d.littlewood_paley(bank).max())) ** order
    moved = [
        ((one - other) ** 2).sum()
        for one, other in zip(full_resolution(bank, x, order), full_resolution(bank, y, order))
    ]
    assert sum(moved) <= bound * ((x - y) ** 2).sum() * (1 + 1e-6)


@pytest.mark.parametrize("wavelet", [wavelets.morlet, wavelets.spline])
def test_the_transform_of_that_bound_is_the_one_whose_energies_the_cascade_gives(rng, wavelet):
    bank = small_bank(wavelet)
    x = rng.standard_normal((12, 16)).astype(np.float32)
    energies = scattering2d.cascade(bank, x, order=2, paths="decreasing")
    expected = [(s**2).sum() for s in full_resolution(bank, x, 2)]
    np.testing.assert_allclose(energies.averaged, expected, rtol=2e-6)


@pytest.mark.parametrize("wavelet", [wavelets.morlet, wavelets.spline])
@pytest.mark.parametrize("paths", ["all", "decreasing"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_the_cascade_is_the_sum_over_its_paths(rng, wavelet, paths, order):
    J = 3 if paths == "decreasing" else 2
    bank = scattering2d.filter_bank((8, 16), J, 2, boundary="periodic", wavelet=wavelet)
    x = rng.standard_normal(bank.shape).astype(np.float32)
    found = layers(bank, x, order + 1, paths == "decreasing")
    energies = scattering2d.cascade(bank, x, order, paths)
    propagated = [sum((u**2).sum() for _, u in layer) for layer in found]
    kept = [sum((averaged(bank, u) ** 2).sum() for _, u in layer) for layer in found[:-1]]
    np.testing.assert_allclose(energies.propagated, propagated, rtol=2e-6)
    np.testing.assert_allclose(energies.averaged, kept, rtol=2e-6)


def test_a_unitary_bank_conserves_energy_over_all_paths(rng):
    bank = scattering2d.filter_bank((32, 24), J=2, L=4, boundary="periodic", wavelet=wavelets.spline)
    x = rng.standard_normal((3, 32, 24)).astype(np.float32)
    energies = scattering2d.cascade(bank, x, order=2)
    total = energies.averaged.sum(-1) + energies.propagated[:, -1]
    np.testing.assert_allclose(total, (x**2).sum((1, 2)), rtol=1e-5)
    fewer = scattering2d.cascade(bank, x, order=2, paths="decreasing")
    assert (fewer.averaged.sum(-1) + fewer.propagated[:, -1] < 0.99 * total).all()


@pytest.mark.parametrize("order", [4, 10])
def test_the_cascade_ends_where_no_frequency_is_lower(rng, order):
    bank = small_bank()
    x = rng.standard_normal(bank.shape).astype(np.float32)
    energies = scattering2d.cascade(bank, x, order, paths="decreasing")
    assert energies.averaged.shape == (order + 1,)
    np.testing.assert_array_equal(energies.propagated[3:], 0)
    np.testing.assert_array_equal(energies.averaged[3:], 0)
    assert (energies.propagated[:3] > 0).all()


@pytest.mark.parametrize("chunk", [None, 1, 2, 5, 100])
def test_the_cascade_takes_leading_axes_in_chunks_of_any_size(rng, chunk):
    bank = small_bank()
    x = rng.standard_normal((5, 1, *bank.shape)).astype(np.float32)
    energies = scattering2d.cascade(bank, x, order=1, chunk=chunk)
    assert energies.averaged.shape == (5, 1, 2)
    assert energies.propagated.shape == (5, 1, 3)
    for one, image in zip(energies.averaged[:, 0], x[:, 0]):
        np.testing.assert_allclose(one, scattering2d.cascade(bank, image, order=1).averaged, rtol=2e-6)


@pytest.mark.parametrize("paths", ["decreasing", pytest.param("all", marks=pytest.mark.beyond)])
def test_the_cascade_has_derivatives(rng, x64, paths):
    bank = scattering2d.filter_bank((8, 8), 2, 2, boundary="periodic")
    x, direction = rng.standard_normal((2, 8, 8))

    def passed(image):
        return scattering2d.cascade(bank, image, 2, paths).averaged @ jnp.array([1.0, 2.0, 3.0])

    slope = (passed(x + 1e-6 * direction) - passed(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose((jax.grad(passed)(x) * direction).sum(), slope, rtol=1e-7)


@pytest.mark.parametrize("scale", [1e-17, 1e17])
def test_energies_scale_with_the_square_of_the_image(rng, scale):
    x = np.float32(rng.standard_normal((12, 16)))
    found, expected = (scattering2d.cascade(small_bank(), one, 2) for one in (np.float32(scale * x), x))
    for one, other in ((found.averaged, expected.averaged), (found.propagated, expected.propagated)):
        np.testing.assert_allclose(np.float64(one) / scale**2, other, rtol=2e-5)


def test_nan_gives_no_energies():
    energies = scattering2d.cascade(small_bank(), np.full((12, 16), np.nan, np.float32), 1)
    assert np.isnan(energies.averaged).all()
