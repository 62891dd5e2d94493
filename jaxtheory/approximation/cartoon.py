r"""Horizon functions, of which cartoon-like images are made: 1 on one side of a boundary, 0 on the other.

On the square $[-1/2, 1/2]^2$ they are $1[x_1 + \gamma(x_2) \ge 0]$, with a boundary $\gamma$ of a given
smoothness. Integrals across the boundary have closed forms.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, Reals, RealScalar

GOLDEN = (1 + math.sqrt(5)) / 2
"""The base of frequencies by default: irrational, so that no lattice of knots is in step with them."""


def weierstrass(
    x: Reals, phases: Real[AnyArray, " terms"], smoothness: RealScalar, *, base: RealScalar = GOLDEN
) -> Float[Array, "..."]:
    r"""Return a function that is equally rough everywhere, a sum of oscillations by Weierstrass.

    It is $\sum_k b^{-\beta k} \cos(2 \pi b^k x + \phi_k) / \sum_k b^{-\beta k}$. With many terms it is
    $\beta$-Hölder for $\beta < 1$ and no smoother anywhere; for $1 < \beta < 2$ its derivative is so with
    $\beta - 1$. With a few terms it is smooth.

    Args:
        x: The points.
        phases: The phases $\phi_k$, in radians; their number is that of the terms.
        smoothness: The smoothness $\beta$, positive.
        base: The base $b$ of the frequencies, above 1.

    Returns:
        The values, between -1 and 1. In single precision the phases of frequencies above $10^5$ are lost.

    Raises:
        ValueError: If the smoothness is not positive, or there are no phases.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import cartoon
        >>> cartoon.weierstrass(np.float32([0.0, 0.5]), np.zeros(1, np.float32), 0.5)
        Array([ 1., -1.], dtype=float32)

    References:
        Hardy, Weierstrass's non-differentiable function, 1916.
    """
    (x, phases, smoothness, base), back = real_arrays(x=x, phases=phases, smoothness=smoothness, base=base)
    checks.axes("phases", phases, "terms")
    checks.positive("smoothness", smoothness)
    if not len(phases):
        raise ValueError("phases holds none: take at least one")
    return back(_series(x, phases, smoothness, base))


@jax.jit
def _series(x: Array, phases: Array, smoothness: Array, base: Array) -> Array:
    """The sum, one term after the other, so that it takes no more memory than its result."""
    orders = jnp.arange(len(phases), dtype=phases.dtype)
    sizes = base ** (-smoothness * orders)

    def add(total: Array, term: tuple[Array, Array, Array]) -> tuple[Array, None]:
        size, frequency, phase = term
        return total + size * jnp.cos(2 * math.pi * frequency * x + phase), None

    total = jax.lax.scan(add, jnp.zeros_like(x), (sizes, base**orders, phases))[0]
    return total / jnp.sum(sizes)


def jump_error(gap: Reals, width: RealScalar) -> Float[Array, "..."]:
    r"""Return the squared error of a ramp in place of a jump: $\int (1[u \ge -e] - r(u / \delta))^2 \, du$.

    The ramp $r(u / \delta)$ rises from 0 to 1 between $u = 0$ and $\delta$; the jump is $e$ before it. Its
    integral over the boundary is the squared $L^2$ error of a network for a horizon function.

    Args:
        gap: The gaps $e$, boundary minus approximate boundary, of either sign.
        width: The ramp's width $\delta$, positive.

    Returns:
        The integrals: $e + \delta / 3$ for a jump before the ramp, and less by up to $\delta$ after it.

    Raises:
        ValueError: If the width is not positive.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import cartoon
        >>> cartoon.jump_error(np.float32([0.5, -0.5]), 0.3)
        Array([0.6, 0.3], dtype=float32)
    """
    (gap, width), back = real_arrays(gap=gap, width=width)
    checks.positive("width", width)
    inside = jnp.clip(-gap / width, 0, 1)
    within = width * (inside**3 + (1 - inside) ** 3) / 3
    return back(jnp.maximum(gap, 0) + within + jnp.maximum(-gap - width, 0))


def horizon_image(boundary: Real[AnyArray, "... ends"], columns: int) -> Float[Array, "... rows columns"]:
    r"""Return the pixels of a horizon function, $1[x_1 + \gamma(x_2) \ge 0]$ averaged over each, exactly.

    Rows lie along $x_2$, columns along $x_1$, both from $-1/2$ to $1/2$.

    Args:
        boundary: The heights of $\gamma$ at the ends of the rows, between which it is linear; one more than
            there are rows.
        columns: The number of columns.

    Returns:
        The averages, between 0 and 1.

    Raises:
        ValueError: If there are fewer than two heights, or no columns.
        TypeError: If the number of columns is not a whole number.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import cartoon
        >>> cartoon.horizon_image(np.float32([0.5, -0.5]), 2)
        Array([[0.25, 0.75]], dtype=float32)
    """
    (boundary,), back = real_arrays(boundary=boundary)
    checks.axes("boundary", boundary, "...", "ends")
    if boundary.shape[-1] < 2:
        raise ValueError("boundary has fewer than two heights: take one more than there are rows")
    columns = checks.count("columns", columns)
    # How much of a column lies beyond the boundary, in columns, at both ends of a row.
    beyond = columns * (boundary[..., None] - 0.5) + jnp.arange(1, columns + 1)
    first, last = beyond[..., :-1, :], beyond[..., 1:, :]

    def integral(height: Array) -> Array:
        return jnp.clip(height, 0, 1) ** 2 / 2 + jnp.maximum(height - 1, 0)

    rise = last - first
    # Of two ends that nearly agree, the difference quotient would lose its digits.
    is_steep = jnp.abs(rise) > jnp.finfo(rise.dtype).eps ** 0.5
    quotient = (integral(last) - integral(first)) / jnp.where(is_steep, rise, 1)
    return back(jnp.where(is_steep, quotient, jnp.clip((first + last) / 2, 0, 1)))
