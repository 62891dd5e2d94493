"""Scattering of signals as direct sums in time, which the tests of several modules compare with."""

import numpy as np


def periodized(function, length):
    """The samples of a function of time, summed over periods, in float64."""
    positions = np.arange(-60 * length, 60 * length) if length < 64 else np.arange(-8 * length, 8 * length)
    return function(positions).reshape(-1, length).sum(axis=0)


def gaussian_in_time(width, length):
    low_pass = periodized(lambda t: np.exp(-2 * (np.pi * width * t) ** 2), length)
    return low_pass / abs(low_pass).sum()


def morlet_in_time(frequency, width, length):
    """A wave under a Gaussian envelope, minus what of the envelope makes its mean zero, of unit mass."""

    def wave(t, frequency):
        return np.exp(-2 * (np.pi * width * t) ** 2 + 2j * np.pi * frequency * t)

    waves, envelope = (periodized(lambda t, f=f: wave(t, f), length) for f in (frequency, 0.0))
    wavelet = waves - waves.sum() / envelope.sum() * envelope
    return wavelet / abs(wavelet).sum()


def convolved(x, kernel, stride):
    """Circular convolution as a sum over samples, at every stride-th one."""
    return kernel[(np.arange(0, x.size, stride)[:, None] - np.arange(x.size)) % x.size] @ x


def on_signal(u, bank, stride):
    """The samples whose place in the padded signal lies on the signal."""
    return u[[k for k in range(u.size) if bank.before <= k * stride < bank.before + bank.length]]


def direct(x, bank):
    """Kymatio's definition, convolution by convolution: coefficients by wavelets, and moduli by wavelets.

    Filters for subsampled signals are samples of those for all; with sums in place of means they are
    multiplied by the subsampling.
    """
    x, length = np.asarray(x, float), bank.grid
    if bank.boundary == "reflect":
        x = np.pad(x, (bank.before, length - bank.length - bank.before), mode="reflect")
    average = 2.0**bank.J if bank.T == "global" else bank.T
    low_pass = gaussian_in_time(0.1 / average, length)
    first, second = ([(morlet_in_time(f, w, length), j) for f, w, j in layer] for layer in bank.layers)
    coarsest = 99 if bank.T == "global" else int(np.log2(bank.T))

    def filtered(u, kernel, before, after):
        weight = 1 if bank.folding == "mean" else 2**before
        return weight * convolved(u, kernel[:: 2**before], 2 ** (after - before))

    def averaged(u, level):
        if bank.T == "global":
            return on_signal(u, bank, 2**level).mean(keepdims=True)
        return on_signal(filtered(u, low_pass, level, coarsest).real, bank, 2**coarsest)

    moduli = {(): x}
    levels = {(): 0}
    for n, (wavelet, j) in enumerate(first[: None if bank.order else 0]):
        levels[n,] = min(j, coarsest)
        moduli[n,] = abs(filtered(x, wavelet, 0, levels[n,]))
    for n, (_, j) in enumerate(first[: None if bank.order == 2 else 0]):
        for m, (wavelet, k) in enumerate(second):
            if k > j:
                levels[n, m] = min(k, coarsest)
                moduli[n, m] = abs(filtered(moduli[n,], wavelet, levels[n,], levels[n, m]))
    return {path: averaged(u, levels[path]) for path, u in moduli.items()}, moduli, levels
