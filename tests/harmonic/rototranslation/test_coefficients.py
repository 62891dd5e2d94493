"""Roto-translation scattering against direct sums, under turns, and where it sees more than averages do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import rototranslation, scattering2d
from jaxtheory.harmonic.scattering2d import walking
from tests.harmonic.rototranslation.direct import direct, turned
from tests.harmonic.scattering2d.direct import morlet_spectra, without_windows


@pytest.mark.parametrize(
    ("shape", "L", "K", "boundary"), [((6, 9), 3, 1, "reflect"), ((8, 8), 4, 2, "periodic")]
)
def test_coefficients_are_their_definition_in_space(rng, x64, shape, L, K, boundary):
    bank = rototranslation.filter_bank(shape, 2, L, K=K, boundary=boundary)
    bank = dataclasses.replace(bank, space=without_windows(bank.space))
    x = rng.standard_normal(shape)
    expected = direct(x, *morlet_spectra(bank.space.grid, 2, L), 2, L, K, boundary)
    found = rototranslation.orbits(bank, x)
    assert found.shape[0] == len(rototranslation.paths(bank))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * abs(expected).max())
    # What scatter keeps are the mean and the moduli of a Fourier transform.
    spectrum = abs(np.fft.fft(expected, axis=1)) / (2 * L)
    spectrum[:, 0] = expected.mean(axis=1)
    whole = rototranslation.paths(bank)
    kept = rototranslation.paths(bank, harmonics=L)
    assert kept[: len(whole)] == whole
    rows = [whole.index(path._replace(harmonic=0)) for path in kept]
    wanted = spectrum[rows, [path.harmonic for path in kept]]
    scattered = rototranslation.scatter(bank, x, harmonics=L)
    np.testing.assert_allclose(scattered, wanted, rtol=0, atol=1e-10 * abs(expected).max())
    # What is left out is zero.
    others = np.ones((len(whole), L + 1), bool)
    others[rows, [path.harmonic for path in kept]] = False
    assert others.any()
    assert spectrum[:, : L + 1][others].max() < 1e-12


@pytest.mark.parametrize(("size", "J", "L"), [(32, 3, 4), pytest.param(64, 4, 8, marks=pytest.mark.beyond)])
def test_a_quarter_turn_moves_the_orientations_by_half_the_angles(rng, size, J, L):
    bank = rototranslation.filter_bank((size, size), J, L, boundary="periodic")
    x = np.float32(rng.standard_normal((size, size)))
    orders = np.array([path.order for path in rototranslation.paths(bank)])
    before, after = np.asarray(rototranslation.orbits(bank, np.stack([x, turned(x)])))
    # Angles fall with their number.
    expected = np.roll(turned(before), -L // 2, axis=1)
    for order, most in enumerate((1e-5, 1e-5, 5e-4)):
        these = orders == order
        assert abs(after - expected)[these].max() <= most * abs(before)[these].max()
    # Other moves do not do.
    assert abs(after - np.roll(turned(before), L // 2, axis=1))[orders == 2].max() > 1e-3


def test_a_quarter_turn_leaves_what_is_averaged_over_angles(rng):
    bank = rototranslation.filter_bank((16, 16), 2, 4, boundary="periodic")
    x = np.float32(rng.standard_normal((16, 16)))
    orders = np.array([path.order for path in rototranslation.paths(bank, harmonics=2)])
    before, after = np.asarray(rototranslation.scatter(bank, np.stack([x, turned(x)]), harmonics=2))
    for order, most in ((1, 1e-5), (2, 5e-4)):
        error = abs(after - turned(before))[orders == order].max()
        assert error <= most * abs(before)[orders == order].max()


def gratings(size, carrier, envelope):
    """Waves along both axes under one envelope, and one of them under the envelope moved by half a period."""
    rows, columns = 2 * np.pi * np.indices((size, size)) / size
    one, moved = 1 + np.cos(envelope * rows), 1 - np.cos(envelope * rows)
    down, right = np.cos(carrier * rows), np.cos(carrier * columns)
    return np.float32([one * (down + right), one * down + moved * right])


@pytest.mark.beyond
def test_it_sees_whether_orientations_meet_where_averages_over_rotated_copies_do_not():
    size, J, L = 32, 3, 8
    # The carrier is the finest wavelet's frequency, the envelope that of the wavelets of scale 2.
    x = gratings(size, carrier=12, envelope=3)
    flat = scattering2d.filter_bank((size, size), J, L, boundary="periodic")
    found = np.asarray(scattering2d.scatter(flat, x)).mean((-2, -1))
    table = scattering2d.paths(flat)
    # Averages of translation scattering over turned copies: over the first angle, by the angle between both.
    averaged = {}
    for channel, path in enumerate(table):
        between = tuple((angle - path.angles[0]) % L for angle in path.angles[1:])
        averaged.setdefault((path.scales, between), []).append(found[:, channel])
    averaged = np.array([np.mean(one, axis=0) for one in averaged.values()])
    change = np.linalg.norm(averaged[:, 1] - averaged[:, 0]) / np.linalg.norm(averaged[:, 0])
    assert change <= 0.1
    bank = rototranslation.filter_bank((size, size), J, L, boundary="periodic")
    joint = np.asarray(rototranslation.scatter(bank, x)).mean((-2, -1))
    # The coarsest wavelet along the angle is the first harmonic of the half circle.
    first = [
        channel
        for channel, path in enumerate(rototranslation.paths(bank))
        if path.scales == (0, 2) and path.angular_scale == bank.K - 1
    ]
    together, apart = joint[:, first].max(axis=1)
    assert apart >= 5 * together


def test_order_1_is_that_of_scattering2d(rng):
    bank = rototranslation.filter_bank((12, 9), 2, 4, order=1)
    x = np.float32(rng.standard_normal((2, 12, 9)))
    found = np.asarray(rototranslation.orbits(bank, x))
    expected = np.asarray(scattering2d.scatter(bank.space, x))
    np.testing.assert_allclose(found[:, 0], np.repeat(expected[:, :1], 8, axis=1), rtol=1e-6)
    first = expected[:, 1:].reshape(2, 2, 4, *expected.shape[2:])
    np.testing.assert_allclose(found[:, 1:], np.concatenate([first, first], axis=2), rtol=1e-6)


def test_order_0_is_the_average_alone(rng):
    bank = rototranslation.filter_bank((8, 8), 1, 2, order=0)
    x = np.float32(rng.standard_normal((8, 8)))
    expected = scattering2d.scatter(bank.space, x)
    np.testing.assert_allclose(rototranslation.scatter(bank, x, harmonics=2), expected, rtol=1e-6)


@pytest.mark.beyond
def test_chunks_change_nothing(rng):
    bank = rototranslation.filter_bank((8, 12), 2, 2)
    x = np.float32(rng.standard_normal((5, 8, 12)))
    expected = rototranslation.scatter(bank, x, harmonics=1)
    found = rototranslation.scatter(bank, x, harmonics=1, chunk=2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert rototranslation.scatter(bank, x[:0]).shape == (0, len(rototranslation.paths(bank)), 2, 3)


@pytest.mark.beyond
def test_large_images_are_walked_wavelet_by_wavelet(monkeypatch, rng):
    bank = rototranslation.filter_bank((16, 8), 2, 3, boundary="periodic")
    x = np.float32(rng.standard_normal((3, 16, 8)))
    expected = rototranslation.scatter(bank, x)
    # Now an image is larger than what a processor works on at a time; another chunk, another program.
    monkeypatch.setattr(walking, "CACHE", 100)
    found = rototranslation.scatter(bank, x, chunk=3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.beyond
def test_the_gradient_at_a_zero_image_is_finite():
    bank = rototranslation.filter_bank((8, 8), 2, 2)

    def total(bank, x):
        return jnp.sum(rototranslation.scatter(bank, x, harmonics=1))

    gradients = jax.grad(total, argnums=(0, 1))(bank, jnp.zeros((8, 8)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
