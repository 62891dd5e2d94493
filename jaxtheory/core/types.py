"""Arrays, numbers and random keys as signatures name them.

A signature says what a function is meant for and which axes its arrays have, as in
`Real[AnyArray, "... features"]`; whatever NumPy converts to such an array is accepted, too.
"""

from typing import Literal

import jax
import numpy as np
from jaxtyping import Array, Bool, Int, Integer, Key, Real, UInt32

AnyArray = Array | np.ndarray
"""JAX's arrays, traced ones included, and NumPy's."""

Reals = Real[AnyArray, "..."] | float | int | np.floating | np.integer
"""Real numbers of any shape, or one number."""

RealScalar = Real[AnyArray, ""] | float | int | np.floating | np.integer
"""One real number."""

Integers = Integer[AnyArray, "..."] | int | np.integer
"""Integers of any shape, or one."""

Labels = Int[AnyArray, "..."]
"""Classes, numbered from 0."""

Booleans = Bool[AnyArray, "..."]
"""Truth values of any shape."""

RandomKey = Key[Array, ""] | UInt32[AnyArray, "words"]
"""A random key as `jax.random.key` makes it, or as `jax.random.PRNGKey` does."""

Boundary = Literal["periodic", "zero", "reflect"]
"""What lies beyond the border: the other side, zeros, or the mirrored image."""

Precision = Literal["default", "high", "highest"] | jax.lax.Precision
"""How accelerators multiply float32 matrices."""
