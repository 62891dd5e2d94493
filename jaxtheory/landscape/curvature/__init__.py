"""Curvature operators on pytrees: products with the Hessian and its kin, without the matrix."""

from jaxtheory.landscape.curvature.hessians import hessian
from jaxtheory.landscape.curvature.operators import Matrix, Operator

__all__ = ["Matrix", "Operator", "hessian"]
