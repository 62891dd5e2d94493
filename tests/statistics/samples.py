"""Labeled examples that the tests of several classifiers share."""

import numpy as np


def clouds(rng, n: int, p: int, classes: int = 3):
    """Classes about means of their own, with variances that fall from coordinate to coordinate."""
    labels = np.arange(n) % classes
    means = rng.standard_normal((classes, p))
    return means[labels] + rng.standard_normal((n, p)) * 0.9 ** np.arange(p), labels
