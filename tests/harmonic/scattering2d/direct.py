"""Scattering as direct sums in space, which the tests of several modules compare with."""

import dataclasses

import numpy as np

from tests.harmonic.test_wavelets import spatial_gabor


def waves(positions, frequencies, size):
    return np.exp(2j * np.pi * np.outer(positions, frequencies) / size)


def transform(values):
    """The discrete Fourier transform, as a sum."""
    height, width = map(np.arange, values.shape)
    rows, columns = waves(height, -height, values.shape[0]), waves(width, -width, values.shape[1])
    return rows.T @ values @ columns


def in_space(spectrum, resolution):
    """A filter in space where its signal was subsampled by 2^resolution: its high frequencies are cut off."""
    sizes = [size // 2**resolution for size in spectrum.shape]
    signed = [np.arange(-(size // 2), size - size // 2) for size in sizes]
    rows, columns = (waves(np.arange(size), one, size) for size, one in zip(sizes, signed))
    return rows @ spectrum[np.ix_(*signed)] @ columns.T / (sizes[0] * sizes[1])


def convolved(x, kernel, stride):
    """Circular convolution as a sum over pixels, at every stride-th one."""
    rows, columns = ((np.arange(0, size, stride)[:, None] - np.arange(size)) % size for size in x.shape)
    return np.einsum("aubv,uv->ab", kernel[rows[:, :, None, None], columns[None, None]], x)


def morlet_spectra(grid, J, L):
    """Kymatio's filters from their closed form in space."""
    spectra = []
    for j in range(J):
        for angle in range(L):
            turn = (int(L - L / 2 - 1) - angle) * np.pi / L
            wave = spatial_gabor(grid, 0.75 * np.pi / 2**j, 0.8 * 2**j, turn, 4 / L)
            envelope = spatial_gabor(grid, 0.0, 0.8 * 2**j, turn, 4 / L)
            spectra.append(transform(wave - wave.sum() / envelope.sum() * envelope))
    return spectra, transform(spatial_gabor(grid, 0.0, 0.8 * 2 ** (J - 1), 0.0, 1.0))


def padded(x, J, boundary):
    """An image in double precision, reflected beyond its border as Kymatio does."""
    x = x.astype(float)
    if boundary == "reflect":
        extra = [(size // 2**J + 2) * 2**J - size for size in x.shape]
        x = np.pad(x, [(more // 2, more - more // 2) for more in extra], mode="reflect")
    return x


def averaged(u, low_pass, J, resolution, boundary):
    """The average of a map, at every 2^J-th pixel of the image."""
    s = convolved(u, in_space(low_pass, resolution), 2 ** (J - resolution)).real
    return s[1:-1, 1:-1] if boundary == "reflect" else s


def direct(x, spectra, low_pass, J, L, boundary):
    """Kymatio's definition, convolution by convolution, in space: coefficients and unaveraged ones."""
    x = padded(x, J, boundary)

    def average(u, resolution):
        return averaged(u, low_pass, J, resolution, boundary)

    orders, moduli = [[average(x, 0)], [], []], {}
    for first, spectrum in enumerate(spectra):
        j = first // L
        u = abs(convolved(x, in_space(spectrum, 0), 2**j))
        moduli[first,] = u
        orders[1].append(average(u, j))
        for second in range((j + 1) * L, J * L):
            k = second // L
            deep = abs(convolved(u, in_space(spectra[second], j), 2 ** (k - j)))
            moduli[first, second] = deep
            orders[2].append(average(deep, k))
    return np.stack([one for order in orders for one in order]), moduli


def without_windows(bank):
    """The bank with every frequency of its filters, the negligible ones too."""
    return dataclasses.replace(bank, windows=None)
