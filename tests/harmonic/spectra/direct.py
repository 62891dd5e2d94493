"""Scattering spectra as their definition says, convolution by convolution, to compare with."""

import numpy as np


def direct(bank, x):
    """The numbers of `flatten` in the order of `paths`, from whole convolutions in float64."""
    x = np.asarray(x, float)
    wavelets = np.asarray(bank.wavelets, float)
    weights = np.full(bank.shape, 1 / x.size) if bank.window is None else np.asarray(bank.window, float)

    def convolved(u, number):
        return np.fft.ifftn(np.fft.fftn(u) * wavelets[number])

    def mean(u):
        return (weights * u).sum()

    numbers = range(len(wavelets))
    scale = [number // bank.L for number in numbers]
    responses = [convolved(x, number) for number in numbers]
    moduli = [abs(response) for response in responses]
    power = [mean(u**2) for u in moduli]
    phases = [
        mean(responses[outer] * convolved(moduli[inner], outer).conj()) / np.sqrt(power[outer] * power[inner])
        for outer in numbers
        for inner in numbers
        if scale[inner] <= scale[outer]
    ]
    envelopes, own = [], []
    for outer in numbers:
        for one in numbers:
            for other in numbers:
                if one <= other and scale[other] <= scale[outer]:
                    product = convolved(moduli[one], outer) * convolved(moduli[other], outer).conj()
                    envelopes.append(mean(product) / np.sqrt(power[one] * power[other]))
                    own.append(one == other)
    return np.concatenate(
        [
            [mean(x)],
            power,
            [mean(u) / np.sqrt(p) for u, p in zip(moduli, power)],
            np.real(phases),
            np.imag(phases),
            np.real(envelopes),
            np.imag(envelopes)[~np.array(own)],
        ]
    )
