"""Filters against their closed forms in space, and what the banks keep of a signal's energy."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.harmonic import scattering2d, wavelets

MORLET = {"frequency": 1.9, "width": 1.1, "angle": 0.6, "slant": 0.7}


def spatial_gabor(shape, frequency, width, angle, slant):
    """The Gabor function on the pixels, summed over periods: what its transform is the transform of."""
    total = np.zeros(shape, complex)
    for period_h in range(-4, 5):
        for period_w in range(-4, 5):
            u, v = np.mgrid[: shape[0], : shape[1]]
            u, v = u + period_h * shape[0], v + period_w * shape[1]
            along = u * np.cos(angle) + v * np.sin(angle)
            across = v * np.cos(angle) - u * np.sin(angle)
            envelope = np.exp(-(along**2 + slant**2 * across**2) / (2 * width**2))
            total += envelope * np.exp(1j * frequency * along)
    return total * slant / (2 * wavelets.KYMATIO_PI * width**2)


def learned_from(parameters):
    """The maker of Morlet wavelets of these parameters."""
    return partial(wavelets.morlet, parameters=parameters)


@pytest.mark.parametrize("shape", [(16, 16), (12, 20), (9, 7)])
@pytest.mark.parametrize("frequency", [0.0, 1.9])
def test_gabor_is_the_transform_of_its_closed_form_in_space(shape, frequency):
    parameters = MORLET | {"frequency": frequency}
    expected = np.fft.fft2(spatial_gabor(shape, **parameters))
    assert abs(expected.imag).max() < 1e-13
    np.testing.assert_allclose(wavelets.gabor_2d(**parameters, shape=shape), expected.real, atol=1e-13)


def test_gabor_of_jax_parameters_is_that_of_numbers(x64):
    traced = {name: jnp.asarray(value) for name, value in MORLET.items()}
    expected = wavelets.gabor_2d(**MORLET, shape=(12, 20))
    np.testing.assert_allclose(wavelets.gabor_2d(**traced, shape=(12, 20)), expected, atol=1e-13)


@given(
    frequency=st.floats(0.05, 3.0),
    width=st.floats(0.6, 4.0),
    angle=st.floats(-4.0, 4.0),
    slant=st.floats(0.3, 2.0),
)
def test_morlets_have_mean_zero(frequency, width, angle, slant):
    wavelet = wavelets.morlet_2d(frequency, width, angle, slant, shape=(10, 14))
    assert wavelet[0, 0] == pytest.approx(0, abs=1e-15)
    assert np.isfinite(wavelet).all()


@pytest.mark.parametrize("J", [1, 3])
@pytest.mark.parametrize("L", [1, 3, 8])
def test_the_bank_has_kymatios_scales_and_angles(J, L):
    bank = scattering2d.filter_bank((16, 24), J, L)
    assert bank.grid == (16 + 2 * 2**J, 24 + 2 * 2**J)
    for j in range(J):
        for angle in range(L):
            parameters = {
                "frequency": 0.75 * np.pi / 2**j,
                "width": 0.8 * 2**j,
                "angle": (int(L - L / 2 - 1) - angle) * np.pi / L,
                "slant": 4 / L,
            }
            space = spatial_gabor(bank.grid, **parameters)
            envelope = spatial_gabor(bank.grid, **parameters | {"frequency": 0.0})
            space -= space.sum() / envelope.sum() * envelope
            np.testing.assert_allclose(bank.wavelets[j * L + angle], np.fft.fft2(space).real, atol=1e-6)


def test_the_low_pass_filter_is_kymatios(x64):
    bank = scattering2d.filter_bank((16, 24), J=3, L=2)
    space = spatial_gabor(bank.grid, 0.0, 0.8 * 2**2, 0.0, 1.0)
    np.testing.assert_allclose(scattering2d.low_pass_2d(bank), np.fft.fft2(space).real, atol=1e-12)
    # Kymatio's pi: the mean of an image is multiplied by 1.00003.
    np.testing.assert_allclose(scattering2d.low_pass_2d(bank)[0, 0], np.pi / 3.1415, rtol=1e-12)


@pytest.mark.parametrize("boundary", ["reflect", "periodic"])
def test_the_bank_of_the_ordinary_parameters_is_the_ordinary_bank(boundary):
    ordinary = scattering2d.filter_bank((16, 24), J=3, L=5, boundary=boundary)
    learned = scattering2d.filter_bank(
        (16, 24), J=3, L=5, boundary=boundary, wavelet=learned_from(wavelets.morlet_parameters(3, 5))
    )
    np.testing.assert_allclose(learned.wavelets, ordinary.wavelets, atol=2e-6)
    np.testing.assert_allclose(
        scattering2d.low_pass_2d(learned), scattering2d.low_pass_2d(ordinary), atol=2e-6
    )
    assert learned.windows is None
    unknown = dataclasses.replace(ordinary, windows=None)
    assert jax.tree.structure(unknown) == jax.tree.structure(learned)


def test_a_bank_moves_with_its_parameters(x64):
    parameters = wavelets.morlet_parameters(2, 3)
    direction = {name: jnp.ones_like(value) for name, value in parameters.items()}

    def filters(step):
        moved = jax.tree.map(lambda value, change: value + step * change, parameters, direction)
        bank = scattering2d.filter_bank((8, 12), J=2, L=3, wavelet=learned_from(moved))
        return bank.wavelets, scattering2d.low_pass_2d(bank)

    slopes = jax.jvp(filters, (0.0,), (1.0,))[1]
    for slope, after, before in zip(slopes, filters(1e-5), filters(-1e-5)):
        np.testing.assert_allclose(slope, (after - before) / 2e-5, atol=1e-8)
        assert abs(slope).max() > 0.1


def test_the_spline_banks_scaling_function_is_that_of_battle_and_lemarie():
    # |B(w)|^2 / sum_k |B(w + 2 pi k)|^2 with the transform of the cubic B-spline, summed term by term.
    w = np.linspace(-3, 3, 13) * np.pi + 0.1
    aliases = w + 2 * np.pi * np.arange(-400, 401)[:, None]
    expected = np.sinc(w / (2 * np.pi)) ** 8 / (np.sinc(aliases / (2 * np.pi)) ** 8).sum(axis=0)
    np.testing.assert_allclose(wavelets._cubic_spline_low_pass(w), expected, rtol=1e-12)


def test_the_spline_banks_wavelets_point_in_their_directions():
    bank = scattering2d.filter_bank((64, 64), 2, boundary="periodic", wavelet=wavelets.spline)
    frequencies = 2 * np.pi * np.fft.fftfreq(64)
    for index, angle in enumerate((3 - np.arange(8)) * np.pi / 8):
        energy = np.asarray(bank.wavelets[8 + index]) ** 2
        mean = [(energy * frequencies[:, None]).sum(), (energy * frequencies[None, :]).sum()]
        assert np.arctan2(mean[1], mean[0]) == pytest.approx(angle, abs=1e-3)


@pytest.mark.parametrize("boundary", ["reflect", "periodic"])
def test_windows_hold_what_is_not_negligible(boundary):
    bank = scattering2d.filter_bank((64, 48), J=4, L=8, boundary=boundary)
    for j, (tiles, starts) in enumerate(bank.windows):
        sizes = [number * (size // 2**j) for number, size in zip(tiles, bank.grid)]
        for one, (top, left) in zip(np.asarray(bank.wavelets[j * 8 : (j + 1) * 8]), starts):
            outside = one.copy()
            rows, columns = (np.arange(start, start + size) for start, size in zip((top, left), sizes))
            outside[np.ix_(rows % bank.grid[0], columns % bank.grid[1])] = 0
            assert abs(outside).max() <= 1e-6 * abs(one).max()


@pytest.mark.parametrize(
    "wrong",
    [
        wavelets.morlet_parameters(2, 4),
        {"frequency": np.ones(6)},
        wavelets.morlet_parameters(2, 3) | {"q": 1},
    ],
)
def test_parameters_of_another_bank_are_refused(wrong):
    message = r"^parameters have the shapes .*: take .*, as morlet_parameters\(2, 3\)$"
    with pytest.raises(ValueError, match=message):
        wavelets.morlet((16, 16), J=2, L=3, parameters=wrong)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"width": 0.0}, ValueError, r"^width is 0\.0: take a positive number$"),
        ({"slant": -1.0}, ValueError, r"^slant is -1\.0: take a positive number$"),
        ({"frequency": 1j}, TypeError, r"^frequency is complex \(complex128\): take real numbers"),
        ({"angle": "north"}, TypeError, r"^angle is 'north' \(str\): take an array of numbers$"),
    ],
)
def test_envelopes_that_cannot_be_are_refused(own_errors, changed, error, message):
    with pytest.raises(error, match=message):
        wavelets.gabor_2d(**MORLET | changed, shape=(8, 8))


@pytest.mark.parametrize("width", [0.1, 0.15, 0.25, 0.5])
def test_narrow_envelopes_of_jax_parameters_are_those_of_numbers(width, x64):
    narrow = MORLET | {"width": width}
    known = {name: jnp.asarray(value) for name, value in narrow.items()}
    expected = wavelets.gabor_2d(**narrow, shape=(8, 8))
    np.testing.assert_allclose(wavelets.gabor_2d(**known, shape=(8, 8)), expected, rtol=1e-12)
    parameters = wavelets.morlet_parameters(1, 2) | {"width": jnp.full(2, width)}
    bank = wavelets.morlet((8, 8), 1, 2, parameters=parameters)
    for index, one in enumerate(bank.wavelets):
        own = [float(parameters[name][index]) for name in ("frequency", "width", "angle", "slant")]
        np.testing.assert_allclose(one, wavelets.morlet_2d(*own, shape=(8, 8)), atol=1e-7)


def test_traced_envelopes_of_half_a_pixel_are_exact_to_a_millionth(x64):
    for slant in (1.0, 0.4):
        # Half a pixel along the wave and across it.
        narrow = MORLET | {"width": 0.5 * max(slant, 1), "slant": slant}
        traced = jax.jit(partial(wavelets.gabor_2d, shape=(8, 8)))(**narrow)
        expected = wavelets.gabor_2d(**narrow, shape=(8, 8))
        np.testing.assert_allclose(traced, expected, atol=1e-6 * expected.max())
