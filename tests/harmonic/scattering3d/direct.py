"""Solid harmonic scattering in NumPy, as Kymatio 0.3 defines it, which the tests compare with."""

import math

import numpy as np
from scipy.special import factorial2, sph_harm_y


def transform(shape, sigma, degree, order):
    """The Fourier transform of a wavelet at all frequencies, the highest ones negative."""
    x, y, z = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(size) for size in shape), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    angles = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    radial = (sigma * radius) ** degree * np.exp(-((sigma * radius) ** 2) / 2)
    if degree % 2 == 0:
        norm = 1 / (2 * np.pi * np.sqrt(degree + 0.5) * factorial2(degree + 1))
    else:
        norm = 1 / (2 ** ((degree + 3) / 2) * np.sqrt(np.pi * (2 * degree + 1)))
        norm /= math.factorial((degree + 1) // 2)
    phase = (2 * np.pi) ** 1.5 * (-1j) ** degree
    return phase * norm * radial * sph_harm_y(degree, order, *angles)


def modulus(x, shape, sigma, degree):
    """The modulus of the responses to all wavelets of a scale and degree."""
    spectrum = np.fft.fftn(x)
    every = (transform(shape, sigma, degree, order) for order in range(-degree, degree + 1))
    return np.sqrt(sum(abs(np.fft.ifftn(spectrum * one)) ** 2 for one in every))


def direct(x, J, L, sigma_0=1.0, powers=(0.5, 1.0, 2.0)):
    """The coefficients of a density by scales and degree."""
    x = np.asarray(x, float)

    def integrals(u):
        return np.array([(abs(u) ** power).sum() for power in powers])

    found = {((), None): integrals(x)}
    for degree in range(L + 1):
        for j in range(J + 1):
            u = modulus(x, x.shape, sigma_0 * 2**j, degree)
            found[(j,), degree] = integrals(u)
            for k in range(j + 1, J + 1):
                found[(j, k), degree] = integrals(modulus(u, x.shape, sigma_0 * 2**k, degree))
    return found
