"""Gradients of functions that are known exactly, by other ways than back-propagation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import RealScalar

CHUNK = 64
"""The number of directions that a gradient without reverse mode takes at once."""


def forward_gradient(function: Callable[..., Any], x: PyTree) -> PyTree:
    """Return the gradient of a scalar function by forward mode, one direction for each entry.

    Args:
        function: The function of `x`, which returns a scalar.
        x: The point, an array or a pytree of floating-point arrays.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        TypeError: If `x` is complex or not made of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> stochastic_approximation.forward_gradient(lambda x: jnp.sum(x**2), jnp.array([1.0, 2.0]))
        Array([2., 4.], dtype=float32)

    References:
        Wengert, A simple automatic derivative evaluation program, 1964.
    """
    return _forward(function, floating(x))


@partial(jax.jit, static_argnames="function")
def _forward(function: Callable[..., Any], x: PyTree) -> PyTree:
    flat, unravel = ravel_pytree(x)

    def along(place: Array) -> Array:
        direction = jnp.zeros_like(flat).at[place].set(1)
        return jax.jvp(lambda point: function(unravel(point)), (flat,), (direction,))[1]

    return unravel(lax.map(along, jnp.arange(flat.size), batch_size=CHUNK))


def complex_step_gradient(function: Callable[..., Any], x: PyTree, *, step: RealScalar = 1e-20) -> PyTree:
    r"""Return the gradient of an analytic function by the complex step: $\mathrm{Im} f(x + i h e_j) / h$.

    Nothing is subtracted, so that the step can be as small as one likes and the error is that of rounding.

    Args:
        function: The function of `x`, which returns a scalar and is analytic: it is made of products, powers,
            `exp`, `tanh` and the like, without absolute values, comparisons or real parts.
        x: The point, an array or a pytree of floating-point arrays.
        step: The step $h$, positive.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        ValueError: If the step is not positive.
        TypeError: If `x` is complex or not made of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> stochastic_approximation.complex_step_gradient(lambda x: jnp.sum(x**3), jnp.array([1.0, 2.0]))
        Array([ 3., 12.], dtype=float32)

    References:
        Squire and Trapp, Using complex variables to estimate derivatives of real functions, 1998.
    """
    checks.positive("step", step)
    return _complex_step(function, floating(x), step)


def central_gradient(function: Callable[..., Any], x: PyTree, *, step: RealScalar = 1e-5) -> PyTree:
    r"""Return the gradient of a scalar function by central differences: $(f(x + h e_j) - f(x - h e_j)) / 2h$.

    Args:
        function: The function of `x`, which returns a scalar.
        x: The point, an array or a pytree of floating-point arrays.
        step: The step $h$, positive: near the cube root of the relative precision, which is 6e-6 in double
            precision, bias and rounding balance.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        ValueError: If the step is not positive.
        TypeError: If `x` is complex or not made of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> square = lambda x: jnp.sum(x**2)
        >>> stochastic_approximation.central_gradient(square, jnp.array([1.0, 2.0]), step=0.5)
        Array([2., 4.], dtype=float32)
    """
    checks.positive("step", step)
    return _central(function, floating(x), step)


def floating(x: PyTree) -> PyTree:
    """The point with real leaves in the dtypes of the computation."""
    return jax.tree.map(lambda leaf: real_arrays(x=leaf)[0][0], x)


@partial(jax.jit, static_argnames="function")
def _complex_step(function: Callable[..., Any], x: PyTree, step: RealScalar) -> PyTree:
    flat, unravel = ravel_pytree(x)

    def complexified(point: Array) -> PyTree:
        parts = unravel(point.real), unravel(point.imag)
        return jax.tree.map(lax.complex, *parts)

    def along(place: Array) -> Array:
        moved = lax.complex(flat, jnp.zeros_like(flat).at[place].set(step))
        return jnp.imag(function(complexified(moved))) / step

    return unravel(lax.map(along, jnp.arange(flat.size), batch_size=CHUNK).astype(flat.dtype))


@partial(jax.jit, static_argnames="function")
def _central(function: Callable[..., Any], x: PyTree, step: RealScalar) -> PyTree:
    flat, unravel = ravel_pytree(x)

    def along(place: Array) -> Array:
        move = jnp.zeros_like(flat).at[place].set(step)
        return (function(unravel(flat + move)) - function(unravel(flat - move))) / (2 * step)

    return unravel(lax.map(along, jnp.arange(flat.size), batch_size=CHUNK))
