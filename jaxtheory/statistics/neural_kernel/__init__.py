"""Tangent kernels of networks: of a network at hand, and of infinitely wide ones in closed form.

- `relu` and `erf` give the kernels of deep, fully connected networks of infinite width.
"""

from jaxtheory.statistics.neural_kernel.dense import Kernels, erf, relu

__all__ = ["Kernels", "erf", "relu"]
