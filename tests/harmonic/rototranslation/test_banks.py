"""Filters along the angle."""

import numpy as np
import pytest

from jaxtheory.harmonic import rototranslation, scattering2d
from tests.harmonic.rototranslation.direct import angular_kernels


@pytest.mark.parametrize(("L", "K"), [(8, None), (6, 1), (2, None)])
def test_filters_along_the_angle_are_those_of_their_closed_form(x64, L, K):
    bank = rototranslation.filter_bank((8, 8), J=1, L=L, K=K)
    expected = np.fft.fft(angular_kernels(bank.K, L))
    np.testing.assert_allclose(bank.angular, expected, rtol=0, atol=1e-12)
    assert (K or L.bit_length() - 1) == bank.K


def test_wavelets_have_mean_zero_and_the_average_keeps_the_mean():
    angular = np.asarray(rototranslation.filter_bank((8, 8), J=1, L=8).angular)
    np.testing.assert_allclose(angular[:, 0], [0, 0, 0, 1], atol=1e-7)
    # The coarsest wavelet is the first harmonic of the half circle, but for a tenth.
    coarsest = np.abs(angular[2])
    assert coarsest.argmax() == 1
    assert np.delete(coarsest, 1).max() < 0.1 * coarsest[1]


def test_filters_in_position_are_those_of_scattering2d():
    bank = rototranslation.filter_bank((12, 16), J=2, L=4, boundary="periodic")
    expected = scattering2d.filter_bank((12, 16), J=2, L=4, boundary="periodic")
    np.testing.assert_array_equal(bank.space.wavelets, expected.wavelets)
    assert (bank.space.shape, bank.space.boundary, bank.space.order) == ((12, 16), "periodic", 2)
