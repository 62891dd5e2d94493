"""Cosine transforms of scattering coefficients against SciPy's, and what is kept of them."""

import numpy as np
import pytest
from scipy.fft import dctn

from jaxtheory.harmonic import decorrelation, scattering2d


def lower_half(x, axes):
    """SciPy's transform of an array (..., H, W) over some of its axes, and the lower half of it."""
    spectrum = dctn(x, axes=axes, norm="ortho")
    sizes = [x.shape[axis] for axis in axes]
    frequency = sum(np.meshgrid(*[np.arange(size) / size for size in sizes], indexing="ij")).ravel()
    kept = np.sort(np.argsort(frequency, kind="stable")[: -(-frequency.size // 2)])
    return spectrum.reshape(*x.shape[: axes[0]], frequency.size, *x.shape[-2:])[..., kept, :, :]


def test_orders_are_transformed_over_scales_and_angles(rng, x64):
    J, L = 3, 4
    table = scattering2d.paths(scattering2d.filter_bank((16, 16), J, L))
    x = rng.standard_normal((2, len(table), 3, 2))
    first, second = np.zeros((2, J, L, 3, 2)), np.zeros((2, 3, L, L, 3, 2))
    pairs = [(0, 1), (0, 2), (1, 2)]
    for channel, path in enumerate(table):
        if path.order == 1:
            first[:, path.scales[0], path.angles[0]] = x[:, channel]
        elif path.order == 2:
            second[:, pairs.index(path.scales), path.angles[0], path.angles[1]] = x[:, channel]
    expected = [x[:, :1], lower_half(first, (1, 2)), lower_half(second, (1, 2, 3))]
    found = decorrelation.cosines(x, J=J, L=L)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-12)
    np.testing.assert_allclose(decorrelation.cosines(x, J=J, L=L, order=1), found[:, :7], atol=1e-12)


def test_half_of_the_paths_is_kept(rng):
    J, L = 3, 6
    coefficients = rng.standard_normal((2, 1 + J * L + L * L * J * (J - 1) // 2, 4, 4))
    assert decorrelation.cosines(coefficients, J=J, L=L, order=1).shape == (2, 1 + 9, 4, 4)
    assert decorrelation.cosines(coefficients, J=J, L=L).shape == (2, 1 + 9 + 54, 4, 4)


def test_a_constant_keeps_its_energy_and_an_alternation_loses_it(rng):
    weights = rng.standard_normal((1, 1, 3))
    constant = np.concatenate([np.zeros((1, 1, 3)), np.broadcast_to(weights, (8, 1, 3))])
    alternating = constant * (-1.0) ** np.arange(9)[:, None, None]
    energies = [
        float((decorrelation.cosines(x, J=1, L=8, order=1) ** 2).sum()) for x in (constant, alternating)
    ]
    assert energies[0] == pytest.approx((constant**2).sum(), rel=1e-5)
    assert energies[1] < 0.1 * energies[0]


def test_wrong_arguments_are_refused(own_errors):
    x = np.ones((9, 2, 2), np.float32)
    with pytest.raises(
        ValueError, match=r"coefficients has the shape \(8, 2, 2\): take \(..., 9 paths at least, H, W\)"
    ):
        decorrelation.cosines(x[:8], J=2, L=2)
    with pytest.raises(ValueError, match="order is 3: take a whole number from 1 to 2"):
        decorrelation.cosines(x, J=2, L=2, order=3)
    with pytest.raises(ValueError, match="J is 1: take a whole number at least 2"):
        decorrelation.cosines(x, J=1, L=2)
    with pytest.raises(TypeError, match="coefficients is complex"):
        decorrelation.cosines(x + 1j, J=2, L=2)
