"""Tangent kernels of networks: of a network at hand, and of infinitely wide ones in closed form.

- `empirical` gives the tangent kernel of any network at its parameters;
- `relu` and `erf` give the kernels of deep, fully connected networks of infinite width, `convolutional` those
  of convolutional networks with global average pooling;
- `predict` gives the outputs of a network that is linear in its parameters, trained for any time.
"""

from jaxtheory.statistics.neural_kernel.dense import Kernels, erf, relu
from jaxtheory.statistics.neural_kernel.linearized import predict
from jaxtheory.statistics.neural_kernel.pooling import convolutional
from jaxtheory.statistics.neural_kernel.tangents import empirical

__all__ = ["Kernels", "convolutional", "empirical", "erf", "predict", "relu"]
