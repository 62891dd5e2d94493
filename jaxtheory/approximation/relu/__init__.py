r"""Exact ReLU networks: constructions of approximation theory as parameters of a plain multilayer perceptron.

A `Network` is a pytree of kernels and biases; `apply` evaluates it, `size` counts it, `from_mlp` and `to_mlp`
exchange it with `networks.mlp.MLP`. Constructions are made in NumPy in double precision and carry their
certified error; an accuracy that JAX's default dtype cannot express is refused.

- calculus: `affine`, `identity`, `compose`, `parallel`, `add`, `pad`;
- polynomials: `sawtooth`, `square`, `product`, `monomial`, `polynomial`;
- what is local or jumps: `interpolant`, `partition_of_unity`, `half_space`, `box`, `horizon`,
  `linear_wavelet`, `affine_system`;
- weights of finitely many bits: `quantize`.
"""

from jaxtheory.approximation.relu.calculus import add, affine, compose, identity, pad, parallel
from jaxtheory.approximation.relu.localized import (
    affine_system,
    box,
    half_space,
    horizon,
    interpolant,
    linear_wavelet,
    partition_of_unity,
)
from jaxtheory.approximation.relu.network import Network, Size, apply, from_mlp, size, to_mlp
from jaxtheory.approximation.relu.polynomials import monomial, polynomial, product, sawtooth, square
from jaxtheory.approximation.relu.quantization import Quantized, quantize

__all__ = [
    "Network",
    "Quantized",
    "Size",
    "add",
    "affine",
    "affine_system",
    "apply",
    "box",
    "compose",
    "from_mlp",
    "half_space",
    "horizon",
    "identity",
    "interpolant",
    "linear_wavelet",
    "monomial",
    "pad",
    "parallel",
    "partition_of_unity",
    "polynomial",
    "product",
    "quantize",
    "sawtooth",
    "size",
    "square",
    "to_mlp",
]
