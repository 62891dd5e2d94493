"""Curvature operators on pytrees: products with the Hessian and its kin, without the matrix.

- `hessian` of a `loss(params, batch)`, `gauss_newton` of a `loss(outputs, target)`, `fisher` information of a
  network's outputs and `gradient_covariance` over examples, each a mean over batches of data;
- `layers` and `block_diagonal` take them layer by layer, `damped_inverse` solves with them, and they can be
  added and multiplied by numbers; `residual_bytes` says what linearizing once would keep;
- `in_batches` divides data into batches; `Matrix` makes an operator of a matrix.

Kronecker-factored approximations and influence functions are out of scope.
"""

from jaxtheory.landscape.curvature.batches import in_batches
from jaxtheory.landscape.curvature.blocks import block_diagonal
from jaxtheory.landscape.curvature.gradients import gradient_covariance
from jaxtheory.landscape.curvature.hessians import hessian
from jaxtheory.landscape.curvature.inverses import damped_inverse
from jaxtheory.landscape.curvature.kept import residual_bytes
from jaxtheory.landscape.curvature.operators import Matrix, Operator
from jaxtheory.landscape.curvature.outputs import fisher, gauss_newton
from jaxtheory.landscape.curvature.parameters import layers

__all__ = [
    "Matrix",
    "Operator",
    "block_diagonal",
    "damped_inverse",
    "fisher",
    "gauss_newton",
    "gradient_covariance",
    "hessian",
    "in_batches",
    "layers",
    "residual_bytes",
]
