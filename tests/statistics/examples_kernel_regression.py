"""Rows of the table of examples: regression with kernels."""

import numpy as np

from jaxtheory.statistics import kernel_regression
from tests.example_rows import Example, float32

KERNEL = kernel_regression.gaussian(np.float32(1.5))
ONE_TRAINING_SET = "one training set, a row an example; tests/statistics/kernel_regression maps it"
ITS_RESIDUAL = "its residual is the rounding itself; tests/statistics holds it against scikit-learn"


def _examples(rng):
    """A kernel, seven examples of three features, and two outputs."""
    return KERNEL, float32(rng, 7, 3), float32(rng, 7, 2)


def _model(rng):
    """A fitted model, and one query."""
    return kernel_regression.fit(*_examples(rng), 0.1), float32(rng, 3)


FITTED = {
    "leading": (1, 2),
    "differentiable": (0, 1, 2),
    "vmap": ONE_TRAINING_SET,
    "x64": ITS_RESIDUAL,
    "half": ITS_RESIDUAL,
}

EXAMPLES: list[Example] = [
    Example(kernel_regression.fit, _examples, {"penalty": 0.1}, export=True, **FITTED, integer=ITS_RESIDUAL),
    Example(
        kernel_regression.distributed,
        _examples,
        {"penalty": 0.1, "parts": 2},
        **FITTED,
        integer=ITS_RESIDUAL,
    ),
    Example(kernel_regression.interpolate, _examples, **FITTED, integer=ITS_RESIDUAL),
    Example(kernel_regression.predict, _model, None, (1,), export=True, devices=True),
    Example(
        kernel_regression.nadaraya_watson,
        lambda rng: (float32(rng, 7, 3), float32(rng, 7, 2), float32(rng, 3), np.float32(3.0)),
        None,
        (2,),
        (0, 1, 2, 3),
        devices=True,
    ),
]

NOT_TRACED: dict[str, str] = {
    "statistics.kernel_regression.kernels.gaussian": "makes a kernel of a number; the rows of fits trace it",
    "statistics.kernel_regression.kernels.laplacian": "makes a kernel of a number, as `gaussian` does",
}
