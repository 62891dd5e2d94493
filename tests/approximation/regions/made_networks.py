"""Networks of random weights, and the signs of their neurons at points, by NumPy alone."""

from itertools import pairwise

import numpy as np

from jaxtheory.approximation import relu


def he_network(rng, *widths, bias=0.3):
    """A network of He weights whose biases have the given standard deviation."""
    kernels = tuple(rng.standard_normal(pair) * np.sqrt(2 / pair[0]) for pair in pairwise(widths))
    return relu.Network(kernels, tuple(bias * rng.standard_normal(width) for width in widths[1:]))


def heights(network, points):
    """The values of all neurons of the hidden layers before they are cut off, and the outputs."""
    found = []
    for kernel, bias in zip(network.kernels, network.biases):
        points = points @ kernel + bias
        found.append(points)
        points = np.maximum(points, 0)
    return np.concatenate(found[:-1], axis=1), found[-1]
