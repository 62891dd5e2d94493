"""Checks of examples with labels, which the classifiers share.

Labels under `jit` are traced and cannot be checked: one that is out of range belongs to no class.
"""

from typing import Any

import numpy as np

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array


def whole_labels(labels: Any) -> Any:
    """Return labels as an array of whole numbers.

    Args:
        labels: The labels, as the caller gave them.

    Returns:
        The labels, as JAX's or NumPy's array.

    Raises:
        TypeError: If they are not whole numbers.
    """
    labels = as_array("labels", labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels are {labels.dtype}: take whole numbers, classes from 0")
    return labels


def check_examples(features: Any, labels: Any, classes: int, where: Any = None) -> None:
    """Refuse examples whose shapes do not fit, and labels that are out of range where they are known.

    Args:
        features: The examples, one per row.
        labels: Their classes.
        classes: The number of classes.
        where: The mask of the examples in question, if not all of them.

    Raises:
        TypeError: If `classes` is not a whole number.
        ValueError: If shapes or labels do not fit.
    """
    checks.axes("features", features, "n", "features")
    n = features.shape[0]
    if n == 0:
        raise ValueError(f"features has the shape {features.shape}: take at least one example")
    checks.axes("labels", labels, "n", sizes=(n,))
    if where is not None:
        check_mask(where, n)
    checks.count("classes", classes)
    if checks.known(labels):
        # NumPy's own array first: a constant's minimum by JAX, taken within a jit, would have no value.
        low, high = np.asarray(labels).min(), np.asarray(labels).max()
        if low < 0 or high >= classes:
            raise ValueError(
                f"labels run from {low} to {high}: take 0 to {classes - 1} for {classes} classes"
            )


def check_mask(where: Any, n: int) -> None:
    """Refuse what is not a mask of n examples.

    Args:
        where: The mask of the examples.
        n: The number of examples.

    Raises:
        TypeError: If it holds anything other than Booleans.
        ValueError: If its shape is another.
    """
    checks.axes("where", where, "n", sizes=(n,))
    if where.dtype != bool:
        raise TypeError(f"where is {where.dtype}: take Booleans, one for each example")


def class_counts(labels: Any, classes: int, where: Any = None) -> np.ndarray | None:
    """Count the examples of each class.

    Args:
        labels: The classes of the examples.
        classes: The number of classes.
        where: The mask of the examples to count, if not all of them.

    Returns:
        The counts, or `None` where labels or `where` are traced.

    Raises:
        ValueError: If a class has no example.
    """
    if not checks.known(labels) or not checks.known(where):
        return None
    counted = np.asarray(labels)[slice(None) if where is None else np.asarray(where)]
    counts = np.bincount(counted, minlength=classes)
    if counts.min() == 0:
        raise ValueError(
            f"labels hold no example of class {int(counts.argmin())}: take at least one of each of the "
            f"{classes} classes"
        )
    return counts
