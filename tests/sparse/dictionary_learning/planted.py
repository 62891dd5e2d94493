"""Signals of planted atoms, and how many of these are found again."""

import numpy as np


def planted(rng, atoms, features, n, sparsity, noise=0.0):
    """Unit atoms, and signals of a few of them each with noise of so many times their deviation."""
    D = rng.standard_normal((atoms, features))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    codes = np.zeros((n, atoms))
    for row in codes:
        row[rng.choice(atoms, sparsity, replace=False)] = rng.standard_normal(sparsity)
    x = codes @ D
    return D, x + noise * x.std() * rng.standard_normal(x.shape)


def recovered(D, learned):
    """How many atoms are found again: the paper asks that 1 - |<d, d'>| be under 0.01."""
    return int(np.sum(np.abs(D @ np.asarray(learned).T).max(1) > 0.99))
