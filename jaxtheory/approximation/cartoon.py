r"""Cartoon-like images on the square $[-1/2, 1/2]^2$, which jump along curves; integrals have closed forms.

Horizon functions are $1[x_1 + \gamma(x_2) \ge 0]$, with a boundary $\gamma$ of a given smoothness. Indicators
of regions have a closed boundary: a curve through points that are close to each other is a polygon, of which
pixels and inner products with plane waves are exact.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Real

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


def horizon_image(heights: Real[AnyArray, "... ends"], columns: int) -> Float[Array, "... rows columns"]:
    r"""Return the pixels of a horizon function, $1[x_1 + \gamma(x_2) \ge 0]$ averaged over each, exactly.

    Rows lie along $x_2$, columns along $x_1$, both from $-1/2$ to $1/2$.

    Args:
        heights: The heights $\gamma$ at the ends of the rows, between which it is linear; one more than
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
    (heights,), back = real_arrays(heights=heights)
    checks.axes("heights", heights, "...", "ends")
    if heights.shape[-1] < 2:
        raise ValueError("heights holds fewer than two: take one more than there are rows")
    columns = checks.count("columns", columns)
    # How much of a column lies beyond the horizon, in columns, at both ends of a row.
    beyond = columns * (heights[..., None] - 0.5) + jnp.arange(1, columns + 1)
    first, last = beyond[..., :-1, :], beyond[..., 1:, :]

    def integral(height: Array) -> Array:
        return jnp.clip(height, 0, 1) ** 2 / 2 + jnp.maximum(height - 1, 0)

    rise = last - first
    # Of two ends that nearly agree, the difference quotient would lose its digits.
    is_steep = jnp.abs(rise) > jnp.finfo(rise.dtype).eps ** 0.5
    quotient = (integral(last) - integral(first)) / jnp.where(is_steep, rise, 1)
    return back(jnp.where(is_steep, quotient, jnp.clip((first + last) / 2, 0, 1)))


def star(
    angles: Reals, phases: Real[AnyArray, " terms"], smoothness: RealScalar, *, ripple: RealScalar = 0.3
) -> Float[Array, "... 2"]:
    r"""Return points of the boundary of a random region that is star-shaped about the origin.

    At the angle $\theta$ the radius is $\frac{1}{3} (1 + a w(\theta)) / (1 + a)$, where $w$ is the sum of
    $k^{-\beta - 1/2} \cos(k \theta + \phi_k)$ over its largest possible value.

    Args:
        angles: The angles $\theta$, in radians.
        phases: The phases $\phi_k$ from $k = 1$ on, in radians.
        smoothness: The smoothness $\beta$ of the boundary, positive. With a few terms it is smooth.
        ripple: How far the boundary is from a circle, $a$, from 0 to 1.

    Returns:
        The points, at most 1/3 from the origin, so that the region vanishes near the square's border.

    Raises:
        ValueError: If the smoothness is not positive, the ripple is out of range, or there are no phases.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import cartoon
        >>> cartoon.star(np.float32([0.0]), np.zeros(3, np.float32), 2.0)
        Array([[0.33333334, 0.        ]], dtype=float32)
    """
    (angles, phases, smoothness, ripple), back = real_arrays(
        angles=angles, phases=phases, smoothness=smoothness, ripple=ripple
    )
    checks.axes("phases", phases, "terms")
    checks.positive("smoothness", smoothness)
    checks.within("ripple", ripple, 0, 1)
    if not len(phases):
        raise ValueError("phases holds none: take at least one")
    orders = jnp.arange(1, len(phases) + 1, dtype=phases.dtype)
    sizes = orders ** (-smoothness - 0.5)
    series = jnp.sum(sizes * jnp.cos(orders * angles[..., None] + phases), -1) / jnp.sum(sizes)
    radii = (1 + ripple * series) / (3 * (1 + ripple))
    return back(radii[..., None] * jnp.stack([jnp.cos(angles), jnp.sin(angles)], -1))


def polygon_image(
    vertices: Real[AnyArray, "... n 2"], shape: tuple[int, int]
) -> Float[Array, "... rows columns"]:
    r"""Return the pixels of a polygon's indicator, averaged over each, exactly.

    By Green's theorem the area of a pixel within the polygon is the integral $\oint g(x_1) \, dx_2$ of the
    width $g$ of the pixel to the left of the boundary, along the part of it that is level with the pixel.

    Args:
        vertices: The vertices $(x_1, x_2)$ in order, of a polygon that does not cross itself. What lies
            outside of the square is cut off.
        shape: The numbers of rows, along $x_2$, and of columns, along $x_1$, both from $-1/2$ to $1/2$.

    Returns:
        The averages, between 0 and 1 up to rounding. In single precision they err by about 1e-7 times the
        number of rows or columns.

    Raises:
        ValueError: If there are fewer than three vertices, or the shape has not two positive sizes.
        TypeError: If a size is not a whole number.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import cartoon
        >>> corners = np.float32([[-0.25, -0.25], [0.25, -0.25], [0.25, 0.25], [-0.25, 0.25]])
        >>> cartoon.polygon_image(corners, (1, 4))
        Array([[0. , 0.5, 0.5, 0. ]], dtype=float32)
    """
    (vertices,), back = real_arrays(vertices=vertices)
    _polygon(vertices)
    shape = checks.sizes("shape", shape, ("rows", "columns"))
    flat = vertices.reshape(-1, *vertices.shape[-2:])
    images = jax.lax.map(lambda one: _covered(one, shape), flat)
    return back(images.reshape(*vertices.shape[:-2], *shape))


def _polygon(vertices: Array) -> None:
    """Refuses what are not the vertices of a polygon."""
    checks.axes("vertices", vertices, "...", "n", "2", sizes=(None, 2))
    if vertices.shape[-2] < 3:
        raise ValueError("vertices holds fewer than three: take the corners of a polygon")


def _area(vertices: Array) -> Array:
    """The area of a polygon, negative where the vertices are in the order of the clock."""
    after = jnp.roll(vertices, -1, -2)
    return jnp.sum(vertices[..., 0] * after[..., 1] - vertices[..., 1] * after[..., 0], -1) / 2


def _orientation(area: Array) -> Array:
    """1 for vertices in the order against the clock, -1 for others."""
    return jnp.where(area < 0, -1, 1).astype(area.dtype)


@partial(jax.jit, static_argnames="shape")
def _covered(vertices: Array, shape: tuple[int, int]) -> Array:
    """The image of one polygon, one edge after the other, each cut where it leaves a pixel."""
    size = jnp.array(shape[::-1], vertices.dtype)
    corners = (vertices + 0.5) * size

    def cuts(start: Array, step: Array, number: int) -> Array:
        """The shares of an edge before it reaches each of the grid's lines across an axis."""
        reached = (jnp.arange(number + 1, dtype=step.dtype) - start) / jnp.where(step == 0, 1, step)
        return jnp.clip(jnp.where(step == 0, 0, reached), 0, 1)

    def add(image: Array, ends: tuple[Array, Array]) -> tuple[Array, None]:
        start, step = ends[0], ends[1] - ends[0]
        ticks = [cuts(start[i], step[i], shape[1 - i]) for i in range(2)]
        shares = jnp.sort(jnp.concatenate([jnp.zeros(1), *ticks, jnp.ones(1)], dtype=step.dtype))
        points = start + shares[:, None] * step
        middles, rises = (points[1:] + points[:-1]) / 2, jnp.diff(points[:, 1])
        column = jnp.clip(jnp.floor(middles[:, 0]), -1, shape[1]).astype(int)
        row = jnp.floor(middles[:, 1]).astype(int)
        rises = jnp.where((row >= 0) & (row < shape[0]), rises, 0)
        partly = jnp.clip(middles[:, 0] - column, 0, 1)
        # A piece that lies within a pixel covers the pixels before it whole; sums from the right spread that.
        # Two columns more hold what lies to the left and to the right of the square.
        image = image.at[row, column + 1].add(rises * partly, mode="drop")
        return image.at[row, jnp.maximum(column, 0)].add(
            jnp.where(column >= 0, rises * (1 - partly), 0), mode="drop"
        ), None

    empty = jnp.zeros((shape[0], shape[1] + 2), vertices.dtype)
    image = jax.lax.scan(add, empty, (corners, jnp.roll(corners, -1, 0)))[0]
    return _orientation(_area(vertices)) * jnp.cumsum(image[:, ::-1], 1)[:, ::-1][:, 1:-1]


def polygon_fourier(
    vertices: Real[AnyArray, "... n 2"], frequencies: Real[AnyArray, "waves 2"]
) -> Complex[Array, "... waves"]:
    r"""Return the inner products of a polygon's indicator with plane waves.

    They are $\int_P e^{-2 \pi i \omega x} \, dx$. By the divergence theorem an edge from $a$ to $b$ with the
    outer normal $n$, as long as the edge, adds
    $\frac{i \omega n}{2 \pi |\omega|^2} e^{-\pi i \omega (a + b)} \mathrm{sinc}(\omega (b - a))$.

    Args:
        vertices: The vertices $(x_1, x_2)$ in order, of a polygon that does not cross itself.
        frequencies: The frequencies $\omega$, in periods over a side of the square. The constant wave,
            $\omega = 0$, gives the area.

    Returns:
        The inner products. Digits are lost where $|\omega|$ is far below 1 and not 0.

    Raises:
        ValueError: If there are fewer than three vertices.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import cartoon
        >>> corners = np.float32([[-0.25, -0.25], [0.25, -0.25], [0.25, 0.25], [-0.25, 0.25]])
        >>> cartoon.polygon_fourier(corners, np.float32([[0, 0], [1, 0]])).real
        Array([0.25      , 0.15915494], dtype=float32)
    """
    (vertices, frequencies), back = real_arrays(vertices=vertices, frequencies=frequencies)
    _polygon(vertices)
    checks.axes("frequencies", frequencies, "waves", "2", sizes=(None, 2))
    after = jnp.roll(vertices, -1, -2)
    step, product = after - vertices, partial(jnp.matmul, precision="highest")
    normals = jnp.stack([step[..., 1], -step[..., 0]], -1)
    along, across, middle = (product(one, frequencies.T) for one in (step, normals, (vertices + after) / 2))
    squared = jnp.sum(frequencies**2, -1)
    waves = across * jnp.sinc(along) * jnp.exp(-2j * math.pi * middle)
    sums = 1j * jnp.sum(waves, -2) / (2 * math.pi * jnp.where(squared == 0, 1, squared))
    area = _area(vertices)[..., None]
    return back(_orientation(area) * jnp.where(squared == 0, area, sums))
