"""Roto-translation scattering as direct sums over pixels and angles."""

import numpy as np

from tests.harmonic.scattering2d.direct import averaged, convolved, in_space, padded


def angular_kernel(frequency, width, L):
    """A Morlet wavelet on a circle of L angles from its closed form, or a Gaussian without a frequency."""
    steps = np.arange(-40 * L, 40 * L)
    envelope = np.exp(-(steps**2) / (2 * width**2))
    wave = envelope * np.exp(1j * frequency * steps)
    if frequency:
        wave = wave - wave.sum() / envelope.sum() * envelope
    kernel = wave.reshape(-1, L).sum(axis=0)
    return kernel / abs(kernel).sum()


def angular_kernels(K, L):
    """The wavelets by scale, and the average."""
    wavelets = [angular_kernel(0.75 * np.pi / 2**k, 0.8 * 2**k, L) for k in range(K)]
    return [*wavelets, angular_kernel(0.0, 0.8 * 2 ** (K - 1), L)]


def turned(x):
    """A square image turned by a quarter about pixel (0, 0), which is not about its corner."""
    index = np.arange(x.shape[-1])
    return x[..., index[None, :], (-index[:, None]) % x.shape[-1]]


def direct(x, spectra, low_pass, J, L, K, boundary):
    """The definition, (paths, 2L, h, w), in space: convolution by convolution, angle by angle."""
    x = padded(x, J, boundary)
    kernels = angular_kernels(K, L)
    zero = averaged(x, low_pass, J, 0, boundary)
    found = [np.stack([zero] * 2 * L)]
    pairs = []
    for j in range(J):
        u = [abs(convolved(x, in_space(spectra[j * L + angle], 0), 2**j)) for angle in range(L)]
        found.append(np.stack([averaged(u[angle % L], low_pass, J, j, boundary) for angle in range(2 * L)]))
        for k in range(j + 1, J):
            for turn in range(L):
                for kernel in kernels:
                    orbit = []
                    for orientation in range(2 * L):
                        angle = (orientation + turn) % (2 * L)
                        wavelet = in_space(spectra[k * L + angle % L], j)
                        # Opposite to a wavelet is its conjugate.
                        wavelet = wavelet.conj() if angle >= L else wavelet
                        response = sum(
                            kernel[(orientation - other) % L] * convolved(u[other], wavelet, 2 ** (k - j))
                            for other in range(L)
                        )
                        orbit.append(averaged(abs(response), low_pass, J, k, boundary))
                    pairs.append(np.stack(orbit))
    return np.stack(found + pairs)
