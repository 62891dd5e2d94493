"""Pursuits written in NumPy, in double precision: what the unrolled ones are held against."""

import numpy as np


def soft(x, threshold):
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def ista(dictionary, x, penalty, steps, curvature=None):
    """The iterates of ISTA, (steps, ..., atoms)."""
    if curvature is None:
        curvature = np.linalg.norm(dictionary, 2) ** 2
    codes, iterates = np.zeros((*x.shape[:-1], len(dictionary))), []
    for _ in range(steps):
        codes = soft(codes + (x - codes @ dictionary) @ dictionary.T / curvature, penalty / curvature)
        iterates.append(codes)
    return np.stack(iterates)


def unit(matrix):
    return matrix / np.linalg.norm(matrix, axis=-1, keepdims=True)
