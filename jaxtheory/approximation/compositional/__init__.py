r"""Compositional functions on trees and acyclic graphs: targets, interpolants of their nodes, wired networks.

A graph has `inputs` leaves, numbered from 0, and nodes, numbered on from there; each node names what it
takes, leaves or earlier nodes, and the last one is the function. Constituents map $[-1, 1]^k$ to $[-1, 1]$.
Targets, interpolants and networks are all evaluated by `apply(model, x)`.

Example:
    >>> import jax
    >>> from jaxtheory.approximation import compositional
    >>> graph = compositional.binary_tree(8)
    >>> target = compositional.init(jax.random.key(0), graph)
    >>> compositional.apply(target, jax.numpy.zeros((5, 8))).shape
    (5,)
"""

from jaxtheory.approximation.compositional.graphs import Graph, binary_tree, from_tree, shared
from jaxtheory.approximation.compositional.interpolation import (
    Interpolant,
    cells_needed,
    certified_error,
    certified_tensor_error,
    interpolate,
    tensor,
)
from jaxtheory.approximation.compositional.models import (
    Target,
    WiredNetwork,
    apply,
    equal_width,
    init,
    init_network,
    size,
)

__all__ = [
    "Graph",
    "Interpolant",
    "Target",
    "WiredNetwork",
    "apply",
    "binary_tree",
    "cells_needed",
    "certified_error",
    "certified_tensor_error",
    "equal_width",
    "from_tree",
    "init",
    "init_network",
    "interpolate",
    "shared",
    "size",
    "tensor",
]
