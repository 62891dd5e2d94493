"""Problems that the tests of pursuits share, and what must hold for their solutions."""

from functools import partial

import jax
import numpy as np

from jaxtheory.sparse import pursuit


def unit(matrix):
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def objective(dictionary, signals, codes, penalty):
    dictionary, signals, codes = (np.asarray(array, np.float64) for array in (dictionary, signals, codes))
    return ((signals - codes @ dictionary) ** 2).sum(-1) / 2 + (penalty * np.abs(codes)).sum(-1)


def assert_stationary(dictionary, signals, codes, penalty, *, nonnegative=False, tolerance=1e-6):
    """The conditions of Karush, Kuhn and Tucker."""
    codes = np.asarray(codes)
    c = (signals - codes @ dictionary) @ dictionary.T
    excess = (c if nonnegative else np.abs(c)) - penalty
    assert excess.max() < tolerance
    on = codes != 0
    assert 0 < on.sum() < on.size
    np.testing.assert_allclose(c[on], (np.sign(codes) * penalty)[on], atol=tolerance)
    assert not nonnegative or codes.min() == 0


GREEDY = {
    "thresholding": partial(pursuit.thresholding, sparsity=3),
    "orthogonal": partial(pursuit.orthogonal_matching_pursuit, sparsity=3),
    "matching": partial(pursuit.matching_pursuit, steps=3),
}


PURSUITS = GREEDY | {
    "lasso": lambda dictionary, signals: pursuit.lasso(dictionary, signals, 0.1, tolerance=1e-5),
    "path": lambda dictionary, signals: jax.tree.map(
        lambda leaf: leaf[1],
        pursuit.lasso_path(dictionary, signals, np.float32([0.3, 0.1]), tolerance=1e-5),
    ),
    "basis": partial(pursuit.basis_pursuit, tolerance=1e-3),
}
