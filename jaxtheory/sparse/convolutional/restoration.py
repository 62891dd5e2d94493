r"""Restore images: a smooth part, and sparse codes of the rest.

Conventions: filters and images have the shapes that `operators` names, and a mask broadcasts to the images.
Its weights run from 0, for a value that is missing and may be anything, to 1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import CONJUGATE_STEPS
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Boundary, Reals, RealScalar
from jaxtheory.sparse.convolutional.operators import synthesize
from jaxtheory.sparse.convolutional.penalized import check_mask, fit_mask, lasso
from jaxtheory.sparse.convolutional.plan import Domain, Plan
from jaxtheory.sparse.results import LassoResult


@record
class RestorationResult:
    """Restored images, and what they are made of."""

    images: Float[Array, "..."]
    """The restored images, the sum of both parts."""
    lowpass: Float[Array, "..."]
    """The smooth part."""
    codes: LassoResult
    """The sparse codes of the rest."""


def lowpass(
    images: Real[AnyArray, "..."],
    smoothness: RealScalar,
    *,
    mask: Real[AnyArray, "..."] | Bool[AnyArray, "..."] | None = None,
    dimensions: Literal[1, 2] = 2,
) -> Float[Array, "..."]:
    r"""Return the smooth part of images, which filters of a few pixels need not code.

    $$\min_l \tfrac12 \|m \odot (x - l)\|^2 + \tfrac{\mu}{2} \|\nabla l\|^2$$

    The gradient consists of differences of neighbors, and none reaches across the border.

    Args:
        images: The images $x$, or signals.
        smoothness: The weight $\mu \ge 0$ of the gradient, in squared pixels: a wave of $f$ cycles per pixel
            is kept up to the factor $1 / (1 + 4 \mu \sin^2 \pi f)$.
        mask: The weights $m$ of the pixels.
        dimensions: The number of axes along which differences are taken: 2 for images, 1 for signals.

    Returns:
        The smooth part $l$, of the images' shape.

    Raises:
        ValueError: If axes are missing, the smoothness is negative, or the mask leaves [0, 1].
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> x = jnp.array([0.0, 4.0])[:, None]
        >>> convolutional.lowpass(x, 0.5, dimensions=1)[:, 0].round(4)
        Array([1., 3.], dtype=float32)

    References:
        Wohlberg, Efficient algorithms for convolutional sparse representations, 2016.
    """
    checks.nonnegative("smoothness", smoothness, one=True)
    check_mask(mask)
    dimensions = checks.count("dimensions", dimensions, most=2)
    (images, smoothness), back = real_arrays(images=images, smoothness=smoothness)
    (mask, _), _ = real_arrays(optional=("mask",), mask=mask, images=images)
    names = ("height", "width", "channels") if dimensions == 2 else ("length", "channels")
    checks.axes("images", images, "...", *names)
    if 0 in images.shape[-dimensions - 1 :]:
        raise ValueError(f"images has the shape {images.shape}: take no empty axes but leading ones")
    fit_mask(mask, images)
    return back(_lowpass(dimensions, images, smoothness, mask))


@partial(jax.jit, static_argnums=(0,))
def _lowpass(dimensions: int, images: Array, smoothness: Array, mask: Array | None) -> Array:
    axes = tuple(range(-dimensions - 1, -1))
    # Cosines are the eigenvectors of differences that do not reach across the border.
    squares = (4 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2 for n in images.shape[-dimensions - 1 : -1])
    square = sum(one.reshape(-1, *[1] * (-axis - 1)) for one, axis in zip(squares, axes))
    smooth = smoothness * jnp.asarray(square, images.dtype)

    def transformed(x: Array, factor: Array) -> Array:
        spectrum = jax.scipy.fft.dctn(x, axes=axes, norm="ortho")
        return jax.scipy.fft.idctn(factor * spectrum, axes=axes, norm="ortho")

    if not images.size:
        return images
    if mask is None:
        return transformed(images, 1 / (1 + smooth))
    power = jnp.broadcast_to(mask.astype(images.dtype), images.shape) ** 2
    # With one weight in place of all, the system is the one above.
    weight = jnp.maximum(jnp.mean(power, axes, keepdims=True), jnp.finfo(images.dtype).eps)
    precondition = partial(transformed, factor=1 / (weight + smooth))

    def system(x: Array) -> Array:
        return power * x + transformed(x, smooth)

    def solve(matvec: Callable[[Array], Array], b: Array) -> Array:
        tiny = float(jnp.finfo(b.dtype).eps)
        options: dict[str, Any] = {"tol": 10 * tiny, "maxiter": CONJUGATE_STEPS, "M": precondition}
        return jax.scipy.sparse.linalg.cg(matvec, b, **options)[0]

    observed = power * jnp.where(power > 0, images, 0)
    return lax.custom_linear_solve(system, observed, solve, symmetric=True)


def denoise(
    filters: Real[AnyArray, "..."],
    images: Real[AnyArray, "..."],
    noise: RealScalar,
    *,
    strength: RealScalar = 2.5,
    smoothness: RealScalar = 5.0,
    boundary: Boundary = "zero",
    domain: Domain = "auto",
    tolerance: RealScalar = 1e-3,
    max_steps: int = 200,
) -> RestorationResult:
    r"""Remove white noise from images: find their smooth part, and sparse codes of the rest.

    The rest is coded by `lasso` with the penalties $\lambda_k = c\, \sigma \|d_k\|$: $\sigma \|d_k\|$ is the
    deviation of the noise's inner product with an atom.

    Args:
        filters: The filters $d$, such as those learned from images without their smooth part.
        images: The images, or signals.
        noise: The standard deviation $\sigma > 0$ of the noise, in the units of the images.
        strength: The factor $c > 0$ on the noise level, dimensionless.
        smoothness: The weight of the smooth part's gradient, in squared pixels, as `lowpass` takes it.
        boundary: How an atom that crosses the border continues: `"periodic"`, at the other side, or `"zero"`,
            nowhere.
        domain: How convolutions are computed: `"spatial"`, `"fourier"`, or `"auto"`, by the filters' size.
        tolerance: The largest duality gap of the codes, relative to their objective.
        max_steps: The largest number of steps of `lasso`, at least 1.

    Returns:
        The images, their smooth part, and the codes of the rest.

    Raises:
        ValueError: If shapes do not match, noise or strength are not positive, filters do not fit on a
            periodic image, or an option is unknown or out of range.
        TypeError: If an array is not real, or the number of steps is not a whole number.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import convolutional
        >>> bump = jax.numpy.array([1.0, -2.0, 1.0])[:, None]
        >>> clean = jax.numpy.zeros((64, 1)).at[20:23].set(bump)
        >>> noisy = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
        >>> found = convolutional.denoise(bump[..., None], noisy, 0.1).images
        >>> bool(((found - clean) ** 2).mean() < ((noisy - clean) ** 2).mean() / 2)
        True

    References:
        Wohlberg, Efficient algorithms for convolutional sparse representations, 2016.
    """
    checks.positive("noise", noise, one=True)
    checks.positive("strength", strength, one=True)
    (filters, images, noise, strength), back = real_arrays(
        filters=filters, images=images, noise=noise, strength=strength
    )
    Plan.of(filters, images, boundary, domain)
    penalty = _penalties(filters, strength * noise)
    return back(
        _restored(
            filters, images, penalty, None, smoothness,
            boundary=boundary, domain=domain, tolerance=tolerance, max_steps=max_steps,
        )
    )  # fmt: skip


@jax.jit
def _penalties(filters: Array, level: Array) -> Array:
    """The level times the norm of each atom."""
    norms = jnp.sqrt(jnp.sum(filters**2, axis=tuple(range(filters.ndim - 1))))
    # A zero atom takes no part, whatever its penalty, which is positive.
    return level * jnp.where(norms > 0, norms, 1)


def inpaint(
    filters: Real[AnyArray, "..."],
    images: Real[AnyArray, "..."],
    mask: Real[AnyArray, "..."] | Bool[AnyArray, "..."],
    penalty: Reals,
    *,
    smoothness: RealScalar = 5.0,
    boundary: Boundary = "zero",
    domain: Domain = "auto",
    tolerance: RealScalar = 1e-3,
    max_steps: int = 500,
) -> RestorationResult:
    r"""Fill in what is missing from images: find their smooth part, and sparse codes of the rest.

    Both are fitted where values are known, and go on where they are not.

    Args:
        filters: The filters $d$, such as those learned from images without their smooth part.
        images: The images, or signals.
        mask: The weights $m$ of the pixels.
        penalty: The weight $\lambda \ge 0$ of the sparsity term, one number or one for each atom, as `lasso`
            takes it; it is small if the known values are exact.
        smoothness: The weight of the smooth part's gradient, in squared pixels, as `lowpass` takes it.
        boundary: How an atom that crosses the border continues: `"periodic"`, at the other side, or `"zero"`,
            nowhere.
        domain: How convolutions are computed: `"spatial"`, `"fourier"`, or `"auto"`, by the filters' size.
        tolerance: The largest duality gap of the codes, relative to their objective.
        max_steps: The largest number of steps of `lasso`, at least 1.

    Returns:
        The images as the model reconstructs them, also where they are known; their smooth part, and the
        codes.

    Raises:
        ValueError: If shapes do not match, a penalty is negative, the mask leaves [0, 1],
            filters do not fit on a periodic image, or an option is unknown or out of range.
        TypeError: If an array is not real, or the number of steps is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> bump = jnp.array([1.0, -2.0, 1.0])
        >>> x = jnp.zeros(100).at[50:53].set(bump).at[51].set(jnp.nan)[:, None]
        >>> found = convolutional.inpaint(bump[:, None, None], x, ~jnp.isnan(x), 1e-3, smoothness=1e6)
        >>> found.images[50:53, 0].round()
        Array([ 1., -2.,  1.], dtype=float32)

    References:
        Wohlberg, Efficient algorithms for convolutional sparse representations, 2016.
    """
    checks.nonnegative("penalty", penalty)
    check_mask(as_array("mask", mask))
    (filters, images, penalty), back = real_arrays(filters=filters, images=images, penalty=penalty)
    Plan.of(filters, images, boundary, domain)
    return back(
        _restored(
            filters, images, penalty, mask, smoothness,
            boundary=boundary, domain=domain, tolerance=tolerance, max_steps=max_steps,
        )
    )  # fmt: skip


def _restored(
    filters: Array,
    images: Array,
    penalty: Array,
    mask: Any,
    smoothness: RealScalar,
    *,
    boundary: Boundary,
    domain: Domain,
    **options: Any,
) -> RestorationResult:
    """The smooth part, and the codes of what it leaves."""
    smooth = lowpass(images, smoothness, mask=mask, dimensions=filters.ndim - 2)
    ways = {"boundary": boundary, "domain": domain}
    codes = lasso(filters, images - smooth, penalty, mask=mask, **ways, **options)
    return RestorationResult(smooth + synthesize(filters, codes.codes, **ways), smooth, codes)
