"""Averages over scales."""

import numpy as np

from jaxtheory.harmonic import rototranslation


def test_channels_of_the_same_difference_of_scales_are_averaged(rng):
    bank = rototranslation.filter_bank((16, 16), J=4, L=2)
    table = rototranslation.paths(bank, harmonics=2)
    coefficients = rng.standard_normal((3, len(table), 1, 1)).astype(np.float32)
    found = np.asarray(rototranslation.average_scales(bank, coefficients, harmonics=2))
    groups = {}
    for channel, path in enumerate(table):
        difference = path.scales[-1] - path.scales[0] if path.scales else None
        key = (path.order, difference, path.turn, path.angular_scale, path.harmonic)
        groups.setdefault(key, []).append(channel)
    expected = np.stack([coefficients[:, group].mean(axis=1) for group in groups.values()], axis=1)
    assert found.shape[1] < len(table)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_neighboring_scales_are_averaged():
    bank = rototranslation.filter_bank((16, 16), J=4, L=2, order=1)
    coefficients = np.float32([9, 0, 1, 3, 7])[:, None, None]
    found = np.asarray(rototranslation.average_scales(bank, coefficients, octaves=2))
    assert found.ravel().tolist() == [9, 0.5, 2, 5]
    same = rototranslation.average_scales(bank, coefficients, octaves=1)
    np.testing.assert_array_equal(same, coefficients)


def test_a_dilation_by_two_moves_averages_over_scales_less():
    # A wave under an envelope, and the same twice as large, both far from the ends of the range of scales.
    bank = rototranslation.filter_bank((128, 128), J=5, L=2, order=1, boundary="periodic")
    down, right = np.indices((128, 128)) - 64.0
    x = [
        size**-2 * np.exp(-(down**2 + right**2) / (2 * (2 * size) ** 2)) * np.cos(3 * right / size)
        for size in (3, 6)
    ]
    found = np.asarray(rototranslation.scatter(bank, np.float32(x))).mean((-2, -1), keepdims=True)

    def moved(coefficients):
        return np.linalg.norm(coefficients[1] - coefficients[0]) / np.linalg.norm(coefficients[0])

    assert moved(np.asarray(rototranslation.average_scales(bank, found))) < moved(found) / 10


def test_paths_name_what_varies_with_the_orientation():
    bank = rototranslation.filter_bank((16, 16), J=2, L=4)
    table = rototranslation.paths(bank, harmonics=4)
    # Order 0, two of order 1, and four turns of two wavelets along the angle and their average.
    assert [sum(path.harmonic == m for path in table) for m in range(5)] == [15, 8, 14, 8, 14]
    assert {path.order for path in table if path.harmonic == 1} == {2}
    assert len(set(table)) == len(table)
