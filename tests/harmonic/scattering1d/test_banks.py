"""Filters of one dimension, and the sizes that come with them."""

import itertools
import math

import jax
import numpy as np
import pytest

from jaxtheory.harmonic import scattering1d
from tests.harmonic.scattering1d.direct import gaussian_in_time, morlet_in_time


@pytest.mark.parametrize(
    ("length", "J", "Q", "T", "grid", "numbers"),
    [
        (256, 4, 1, None, 512, (1, 5, 7)),
        (1000, 5, (4, 2), 16, 2048, (1, 18, 71)),
        (1024, 5, 8, None, 2048, (1, 30, 53)),
        (300, 6, 8, 300, 512, (1, 38, 87)),
        (64, 6, (1,), None, 128, (1, 7, 18)),
        (64, 3, (2, 2), 24.0, 128, (1, 7, 14)),
        pytest.param(8192, 6, 16, None, 16384, (1, 63, 158), marks=pytest.mark.beyond),
        pytest.param(65536, 10, 8, None, 131072, (1, 70, 303), marks=pytest.mark.beyond),
    ],
)
def test_sizes_are_those_that_kymatio_gives(length, J, Q, T, grid, numbers):
    bank = scattering1d.filter_bank(length, J, Q, T=T)
    orders = [path.order for path in scattering1d.paths(bank)]
    assert bank.grid == grid
    assert tuple(map(orders.count, range(3))) == numbers
    assert orders == sorted(orders)


def test_levels_are_those_that_kymatio_gives():
    first, second = scattering1d.filter_bank(1000, 5, (4, 2)).layers
    assert [level for _, _, level in first] == [*[0] * 5, *[1] * 4, *[2] * 4, *[3] * 4, 4]
    assert [level for _, _, level in second] == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize(("length", "J", "Q"), [(128, 4, 1), (200, 4, (3, 2)), (32, 5, 1)])
def test_filters_are_their_closed_forms_in_time(x64, length, J, Q):
    bank = scattering1d.filter_bank(length, J, Q)
    low_pass = np.fft.ifft(bank.low_pass)
    np.testing.assert_allclose(low_pass, gaussian_in_time(0.1 / 2**J, bank.grid), rtol=0, atol=1e-13)
    for layer, filters in zip(bank.layers, (bank.first, bank.second)):
        for (frequency, width, _), one in zip(layer, filters):
            expected = morlet_in_time(frequency, width, bank.grid)
            np.testing.assert_allclose(np.fft.ifft(one), expected, rtol=0, atol=1e-13)
            assert abs(one[0]) < 1e-15


@pytest.mark.parametrize("Q", [1, 4, 12])
def test_neighbors_cross_where_half_of_the_energy_is_left(Q):
    J = 6
    (layer, _) = scattering1d.filter_bank(2**J, J, Q).layers
    ratio = 2 ** (1 / Q)
    falling = [one for one in layer if one[1] > 0.1 / 2**J * (1 + 1e-9)]
    assert len(falling) > Q
    for (high, wide, _), (low, narrow, _) in itertools.pairwise(falling):
        assert high / low == pytest.approx(ratio)
        crossing = (high * narrow + low * wide) / (wide + narrow)
        for center, width in ((high, wide), (low, narrow)):
            assert math.exp(-(((crossing - center) / width) ** 2)) == pytest.approx(0.5)
    rest = [frequency for frequency, _, _ in layer[len(falling) - 1 :]]
    np.testing.assert_allclose(np.diff(rest), -rest[0] / Q)


def test_littlewood_paley_is_the_energy_kept_of_real_signals(rng):
    bank = scattering1d.filter_bank(64, 3, (2, 1), boundary="periodic")
    spectrum = np.fft.fft(rng.standard_normal(64))
    for filters, kept in zip((bank.first, bank.second), scattering1d.littlewood_paley(bank)):
        every = np.concatenate([filters, bank.low_pass[None]])
        energy = (abs(np.fft.ifft(spectrum * every)) ** 2).sum()
        assert energy == pytest.approx((abs(spectrum) ** 2 * np.asarray(kept)).sum() / 64, rel=1e-6)


def test_the_leaves_of_a_bank_are_its_filters():
    bank = scattering1d.filter_bank(32, 3, T="global")
    assert [leaf.shape for leaf in jax.tree.leaves(bank)] == [(64,), (4, 64), (4, 64)]
