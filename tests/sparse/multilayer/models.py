"""Multilayer models as matrices in double precision, and shapes to try them on."""

import numpy as np
import scipy.linalg

from tests.sparse.convolutional import dense


def matrices(filters, size, strides, boundary):
    found = []
    for one, stride in zip(filters, strides):
        found.append(dense.dictionary(np.asarray(one), size, boundary, stride))
        size = [n // stride for n in size]
    return found


def soft(x, threshold):
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


CASES = {
    "signal of strides": (((7, 2, 3), (4, 3, 2)), (36,), (3, 2)),
    "image": (((3, 2, 1, 2), (2, 3, 2, 3)), (6, 4), (1, 1)),
    "image of strides": (((4, 3, 2, 3), (3, 2, 3, 2)), (12, 12), (2, 2)),
    "three layers": (((3, 1, 2), (3, 2, 3), (2, 3, 2)), (12,), (2, 1, 2)),
}


def made(rng, name):
    shapes, size, strides = CASES[name]
    return [rng.standard_normal(shape) for shape in shapes], size, strides


def hopping(rng):
    """Dictionaries of low coherence: nearly orthonormal blocks, and atoms that share one entry at most."""
    first = scipy.linalg.hadamard(16) / 4 + 0.002 * rng.standard_normal((16, 16))
    first /= np.linalg.norm(first, axis=0)
    second = np.zeros((33, 16, 16))
    for atom in range(16):
        for channel in range(16):
            second[2 * ((atom + 1) * (channel + 1) % 17), channel, atom] = rng.choice([-1, 1]) / 4
    return [first[:, None, :], second], (16, 1)
