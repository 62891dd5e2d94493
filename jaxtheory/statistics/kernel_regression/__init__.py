r"""Regression with kernels: ridge regression, its average over parts, interpolation and local averages.

- `fit` and `predict`: kernel ridge regression of one or several outputs;
- `distributed`: the average of the regressions on parts of the examples, on one device or several;
- `interpolate`: the interpolant of minimum norm;
- `nadaraya_watson`: the local average with the singular kernel of Hilbert, which interpolates too;
- `gaussian`, `laplacian`: kernels.

A kernel is a function `kernel(x, y)` of examples `(n, features)` and `(m, features)` that returns the matrix
`(n, m)` of its values. Those made here are pytrees, whose bandwidth may be traced and differentiated; any
other function is part of the compiled program, so that the same one is to be passed each time.
"""

from jaxtheory.statistics.kernel_regression.averages import distributed
from jaxtheory.statistics.kernel_regression.interpolation import interpolate
from jaxtheory.statistics.kernel_regression.kernels import gaussian, laplacian
from jaxtheory.statistics.kernel_regression.models import KernelModel, predict
from jaxtheory.statistics.kernel_regression.penalized import fit
from jaxtheory.statistics.kernel_regression.smoothing import nadaraya_watson

__all__ = [
    "KernelModel",
    "distributed",
    "fit",
    "gaussian",
    "interpolate",
    "laplacian",
    "nadaraya_watson",
    "predict",
]
