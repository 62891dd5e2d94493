r"""Rotations and translations of densities of three dimensions, and of the atoms of molecules.

Conventions: densities are `(..., M, N, O)`, positions `(..., atoms, 3)`, in the same three coordinates. A
density is turned about the middle of its box, positions about the origin, which are the same point where
densities are made of positions. A density between its pixels is the cubic spline through them; a translation
is exact.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import interpolation
from jaxtheory.harmonic.interpolation import Border

Densities = Real[AnyArray, "*#batch M N O"]
Rotation = Real[AnyArray, "*#batch 3 3"]


def rotation_matrix(vector: Real[AnyArray, "*batch 3"]) -> Float[Array, "*batch 3 3"]:
    r"""Return the rotation about an axis: the exponential of the cross product with a vector.

    $R = 1 + \frac{\sin\theta}{\theta} [v] + \frac{1 - \cos\theta}{\theta^2} [v]^2$ with $[v] w = v \times w$
    and $\theta = |v|$.

    Args:
        vector: The axis, as long as the angle in radians.

    Returns:
        The matrix: a point p goes to R p.

    Raises:
        TypeError: If the vector is complex or not an array of numbers.
        ValueError: If it does not have three components.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> deformation.rotation_matrix(jnp.array([0.0, 0.0, jnp.pi / 2])).round(4) @ jnp.array([1.0, 0, 0])
        Array([0., 1., 0.], dtype=float32)

    References:
        Olinde Rodrigues, "Des lois géométriques qui régissent les déplacements d'un système solide", 1840.
    """
    (vector,), back = real_arrays(vector=vector)
    checks.axes("vector", vector, "...", "components", sizes=(3,))
    return back(_rotation_matrix(vector))


@jax.jit
def _rotation_matrix(vector: Array) -> Array:
    squared = jnp.sum(vector**2, axis=-1)[..., None, None]
    # Near zero the series, whose derivatives are finite there.
    small = squared < jnp.sqrt(jnp.finfo(vector.dtype).eps)
    safe = jnp.where(small, 1, squared)
    angle = jnp.sqrt(safe)
    first = jnp.where(small, 1 - squared / 6 + squared**2 / 120, jnp.sin(angle) / angle)
    half = jnp.sin(angle / 2) ** 2 / safe
    second = jnp.where(small, 0.5 - squared / 24 + squared**2 / 720, 2 * half)
    x, y, z = (vector[..., k] for k in range(3))
    zero = jnp.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    cross = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    # [v]^2 = v v^T - |v|^2.
    twice = vector[..., :, None] * vector[..., None, :] - squared * jnp.eye(3, dtype=vector.dtype)
    return jnp.eye(3, dtype=vector.dtype) + first * cross + second * twice


def rotate_positions(
    positions: Real[AnyArray, "*#batch atoms 3"], rotation: Rotation
) -> Float[Array, "... atoms 3"]:
    """Rotate the atoms of a molecule about the origin: each position p goes to R p.

    Args:
        positions: The positions.
        rotation: The rotation, as `rotation_matrix` gives it.

    Returns:
        The rotated positions.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If positions are not of three coordinates, or a rotation not 3 x 3.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> quarter = deformation.rotation_matrix(jnp.array([0.0, 0.0, jnp.pi / 2]))
        >>> deformation.rotate_positions(jnp.array([[2.0, 0.0, 1.0]]), quarter).round(4)
        Array([[0., 2., 1.]], dtype=float32)
    """
    _, back = real_arrays(positions=positions)
    (positions, rotation), _ = real_arrays(positions=positions, rotation=rotation)
    checks.axes("positions", positions, "...", "atoms", "components", sizes=(None, 3))
    _check_rotation(rotation)
    return back(jnp.einsum("...ij,...aj->...ai", rotation, positions, precision="highest"))


def _check_rotation(rotation: Array) -> None:
    checks.axes("rotation", rotation, "...", "rows", "columns", sizes=(3, 3))


def _check_density(x: Array, boundary: str) -> None:
    checks.axes("x", x, "...", "M", "N", "O")
    checks.one_of("boundary", boundary, ("periodic", "reflect"))
    if boundary == "reflect" and min(x.shape[-3:]) < 2:
        shape = " x ".join(map(str, x.shape[-3:]))
        raise ValueError(f"x has densities of {shape} pixels: take at least 2 x 2 x 2 to reflect them")


def rotate_density(
    x: Densities, rotation: Rotation, *, boundary: Border = "periodic"
) -> Float[Array, "... M N O"]:
    r"""Rotate a density about the middle of its box: $x(c + R^{-1} (u - c))$.

    Args:
        x: The densities.
        rotation: The rotation R, as `rotation_matrix` gives it.
        boundary: How the density is continued beyond its box: `"periodic"` or `"reflect"`.

    Returns:
        The rotated densities.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If an axis is missing, a rotation is not 3 x 3, or a box one pixel wide is to be
            reflected.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(27.0).reshape(3, 3, 3)
        >>> quarter = deformation.rotation_matrix(jnp.array([0.0, 0.0, jnp.pi / 2]))
        >>> bool(jnp.allclose(deformation.rotate_density(x, quarter), jnp.rot90(x), atol=1e-4))
        True
    """
    _, back = real_arrays(x=x)
    (x, rotation), _ = real_arrays(x=x, rotation=rotation)
    _check_density(x, boundary)
    _check_rotation(rotation)
    return back(_rotate_density(x, rotation, boundary))


@partial(jax.jit, static_argnums=2)
def _rotate_density(x: Array, rotation: Array, boundary: Border) -> Array:
    shape = x.shape[-3:]
    middle = (np.array(shape) - 1) / 2
    points = jnp.asarray(np.indices(shape) - middle[:, None, None, None], x.dtype)
    back = jnp.swapaxes(rotation, -1, -2) - jnp.eye(3, dtype=x.dtype)
    # The displacement is what leads back from where a pixel's value comes.
    displacement = -jnp.einsum("...ij,jmno->...imno", back, points, precision="highest")
    coefficients = interpolation.spline_coefficients(x, boundary, axes=3)
    return interpolation.displaced(coefficients, displacement, boundary, axes=3)


def translate_density(x: Densities, shift: Real[AnyArray, "*#batch 3"]) -> Float[Array, "... M N O"]:
    r"""Translate a periodic density exactly: $\hat{y}(\omega) = e^{-i \omega \cdot c} \hat{x}(\omega)$.

    An integer shift is `numpy.roll`; a fractional one is trigonometric interpolation, in which the highest
    frequency of an even size is a cosine.

    Args:
        x: The densities.
        shift: The shift c in pixels, along the three axes.

    Returns:
        The translated densities, $x(u - c)$.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If an axis is missing, or the shift does not have three components.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(8.0).reshape(1, 2, 4)
        >>> deformation.translate_density(x, jnp.array([0.0, 0.0, 1.0])).round(4)
        Array([[[3., 0., 1., 2.],
                [7., 4., 5., 6.]]], dtype=float32)
    """
    _, back = real_arrays(x=x)
    (x, shift), _ = real_arrays(x=x, shift=shift)
    _check_density(x, "periodic")
    checks.axes("shift", shift, "...", "components", sizes=(3,))
    return back(_translate_density(x, shift))


@jax.jit
def _translate_density(x: Array, shift: Array) -> Array:
    return interpolation.translated(x, shift, axes=3)
