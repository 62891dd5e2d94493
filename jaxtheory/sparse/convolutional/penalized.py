r"""Sparse codes of images: the lasso over a convolutional dictionary, with its derivatives.

Conventions: filters, images and codes have the shapes that `operators` names. Inside, images and filters are
divided by powers of two that bring their largest norms and entries near one; codes and objectives are
multiplied back.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import conjugate_gradients
from jaxtheory.core.types import AnyArray, Boundary, Reals, RealScalar
from jaxtheory.sparse import scale
from jaxtheory.sparse.convolutional.plan import Domain, Plan
from jaxtheory.sparse.convolutional.solver import Problem, gram, solve
from jaxtheory.sparse.results import LassoResult


def lasso(
    filters: Real[AnyArray, "..."],
    images: Real[AnyArray, "..."],
    penalty: Reals,
    *,
    mask: Real[AnyArray, "..."] | Bool[AnyArray, "..."] | None = None,
    nonnegative: bool = False,
    boundary: Boundary = "periodic",
    domain: Domain = "auto",
    tolerance: RealScalar = 1e-3,
    max_steps: int = 1000,
) -> LassoResult:
    r"""Minimize a penalized error over codes: find sparse codes of images.

    $$\min_z \tfrac12 \|m \odot (x - \textstyle\sum_k d_k * z_k)\|^2 + \sum_k \lambda_k \|z_k\|_1$$

    The solver is the alternating direction method of multipliers on the dual problem, whose linear system is
    solved by Fourier transforms of the image alone, whatever the number of atoms. Every image stops on its
    own. The result is differentiable, forward and backward, in filters, images and penalty: codes move as the
    minimum over their support does.

    Args:
        filters: The filters $d$.
        images: The images $x$, or signals.
        penalty: The weight $\lambda \ge 0$ of the sparsity term, one number or one for each atom. An infinite
            weight excludes its atom, and a weight of zero leaves it unpenalized.
        mask: The weights $m$ of the pixels, from 0, for a value that is missing and may be anything, to 1;
            they broadcast to the images.
        nonnegative: Whether codes must be nonnegative.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.
        domain: How convolutions are computed: `"spatial"`, `"fourier"`, or `"auto"`, by the filters' size.
        tolerance: The largest duality gap, relative to the objective, at which an image counts as solved. The
            gap is a bound: the objective itself is often a tenth of it, or less, from its minimum.
        max_steps: The largest number of steps, at least 1.

    Returns:
        The best codes found, never worse than codes of zero, with their objective and duality gap, the steps
        taken, and whether the tolerance was met. It was not where the dtype cannot hold codes or objective.
        With atoms of weight 0 the gap is an estimate rather than a bound.

    Raises:
        ValueError: If shapes do not match, a penalty is negative, the mask leaves [0, 1],
            filters do not fit on a periodic image, or an option is unknown or out of range.
        TypeError: If an array is not real, or the number of steps is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> x = jnp.array([0.0, 1.0, 2.0, 0.0])[:, None]
        >>> convolutional.lasso(jnp.array([1.0, 2.0])[:, None, None], x, 0.5, tolerance=1e-6).codes[:, 0]
        Array([0. , 0.9, 0. , 0. ], dtype=float32)

    References:
        Wohlberg, Efficient algorithms for convolutional sparse representations, 2016.
        Yang and Zhang, Alternating direction algorithms for l1-problems in compressive sensing, 2011.
    """
    checks.nonnegative("penalty", penalty)
    check_mask(mask)
    max_steps = checks.count("max_steps", max_steps)
    checks.nonnegative("tolerance", tolerance, one=True)
    (filters, images, penalty), back = real_arrays(filters=filters, images=images, penalty=penalty)
    (mask, tolerance, _), _ = real_arrays(
        optional=("mask", "tolerance"), mask=mask, tolerance=tolerance, images=images
    )
    plan = Plan.of(filters, images, boundary, domain)
    fit_penalty(penalty, plan.atoms)
    fit_mask(mask, images)
    found = back(
        solve_lasso(
            plan,
            checks.flag("nonnegative", nonnegative),
            filters,
            images,
            penalty,
            mask,
            tolerance,
            max_steps,
        )
    )
    if found.objective.dtype == images.dtype:
        return found
    return replace(found, converged=found.converged & jnp.isfinite(found.objective))


def fit_penalty(penalty: Array, atoms: int) -> None:
    """Refuses a penalty that is neither one number nor one for each atom."""
    if penalty.shape not in ((), (1,), (atoms,)):
        raise ValueError(
            f"penalty has the shape {penalty.shape}: take one number, or ({atoms},) for (atoms,)"
        )


def check_mask(mask: Any) -> None:
    """Refuses weights of pixels beyond [0, 1], where they are known."""
    if mask is not None:
        checks.within("mask", mask, 0, 1)


def fit_mask(mask: Array | None, images: Array) -> None:
    """Refuses a mask that does not broadcast to the images."""
    if mask is None:
        return
    try:
        fits = np.broadcast_shapes(mask.shape, images.shape) == images.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"mask has the shape {mask.shape}: take one that broadcasts to the images, of shape "
            f"{images.shape}; a mask (H, W) without channels needs an axis at its end"
        )


@partial(jax.jit, static_argnums=(0, 1))
def solve_lasso(
    plan: Plan,
    nonnegative: bool,
    filters: Array,
    images: Array,
    penalty: Array,
    mask: Array | None,
    tolerance: Array,
    max_steps: Array | int,
) -> LassoResult:
    """What `lasso` returns, of arguments that were checked and have one dtype."""
    if mask is not None:
        mask = jnp.broadcast_to(mask.astype(images.dtype), images.shape)
        images = jnp.where(mask > 0, images, 0)
    signals = filters.ndim == 3
    if signals:
        filters, images = filters[:, None], images[..., None, :]
        mask = None if mask is None else mask[..., None, :]
    lead = images.shape[:-3]
    images, mask = _stacked(images), _stacked(mask)
    whole = ~scale.flushed(filters, (0, 1, 2, 3)) & ~scale.flushed(penalty, tuple(range(penalty.ndim)))
    whole &= ~scale.flushed(images, (1, 2, 3))
    # In their own scale, neither filters nor images over- or underflow.
    of_filters, of_images = scale.exponent(filters, (0, 1, 2, 3)), scale.exponent(images, (1, 2, 3))
    norms = jnp.sqrt(jnp.sum(scale.shifted(lax.stop_gradient(filters), -of_filters) ** 2, (0, 1, 2)))
    # The solver's mask is a channel of gain 1, beside which atoms have norms near 1.
    of_filters += scale.exponent(norms * math.sqrt(2), (0,))
    filters = scale.shifted(filters, -of_filters)
    images = scale.shifted(images, -of_images[:, None, None, None])
    penalty = jnp.broadcast_to(penalty, (plan.atoms,))[:, None, None]
    # An atom of zeros takes no part, whatever its penalty.
    absent = jnp.isinf(penalty)
    filters, penalty = jnp.where(absent[:, 0, 0], 0, filters), jnp.where(absent, 1, penalty)
    penalty = scale.shifted(scale.shifted(penalty, -of_images[:, None, None, None]), -of_filters)
    penalty = jnp.minimum(penalty, jnp.finfo(penalty.dtype).max)
    fixed = lax.stop_gradient(filters)
    shared = (fixed, plan.spectra(fixed), gram(plan, fixed))

    def solved(own: tuple[Array | None, ...]) -> tuple[Array, ...]:
        problem = Problem(*shared, *map(lax.stop_gradient, own))
        state = solve(plan, problem, lax.stop_gradient(tolerance), max_steps, nonnegative=nonnegative)
        return state.codes, state.gap, state.steps, state.gap <= tolerance * state.objective

    def settled(image: Array, weights: Array | None, penalty: Array, codes: Array) -> tuple[Array, Array]:
        codes = _settled(plan, filters, image, weights, penalty, codes)
        residual = image - plan.synthesize(filters, codes)
        if weights is not None:
            residual = weights * residual
        return codes, jnp.sum(residual**2) / 2 + jnp.sum(penalty * jnp.abs(codes))

    own = (images, mask, penalty)
    codes, gap, steps, converged = lax.map(solved, own)
    codes, objective = jax.vmap(settled)(*own, lax.stop_gradient(codes))
    held = scale.shifted(codes, (of_images - of_filters)[:, None, None, None])
    reached = scale.shifted(scale.shifted(objective, of_images), of_images)
    # A code or an objective that the dtype lost makes the certificate one of something else.
    lost = jnp.any((held != 0) != (codes != 0), (1, 2, 3)) | ((reached != 0) != (objective != 0))
    converged &= whole & ~lost & jnp.all(jnp.isfinite(held), (1, 2, 3)) & jnp.isfinite(reached)
    gap = scale.shifted(scale.shifted(gap, of_images), of_images)
    held, reached, gap, steps, converged = (
        part.reshape(*lead, *part.shape[1:])
        for part in (jnp.moveaxis(held, 1, -1), reached, gap, steps, converged)
    )
    return LassoResult(held[..., 0, :] if signals else held, reached, gap, steps, converged)


def _stacked(x: Array | None) -> Array | None:
    """Images of any leading axes as one stack (images, channels, H, W)."""
    return None if x is None else jnp.moveaxis(x.reshape(-1, *x.shape[-3:]), -1, 1)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _settled(
    plan: Plan, filters: Array, image: Array, mask: Array | None, penalty: Array, codes: Array
) -> Array:
    """The codes, as they depend on the filters, image and penalty while the support and signs stay."""
    del plan, filters, image, mask, penalty
    return codes


@_settled.defjvp
def _settled_jvp(
    plan: Plan, primals: tuple[Array | None, ...], tangents: tuple[Array | None, ...]
) -> tuple[Array, Array]:
    filters, image, mask, penalty, codes = primals
    support = (codes != 0).astype(codes.dtype)
    signs = jnp.sign(codes)

    def weighted(x: Array) -> Array:
        return x if mask is None else mask**2 * x

    def slope(filters: Array, image: Array, penalty: Array) -> Array:
        """The objective's derivative in the codes of the support, which is zero there."""
        residual = weighted(plan.synthesize(filters, codes) - image)
        return support * (plan.analyze(filters, residual) + penalty * signs)

    def curvature(v: Array) -> Array:
        inside = support * plan.analyze(filters, weighted(plan.synthesize(filters, support * v)))
        return inside + (1 - support) * v

    def solution(matvec: Any, b: Array) -> Array:
        rows = conjugate_gradients(lambda v: matvec(v.reshape(b.shape)).reshape(1, -1), b.reshape(1, -1))
        return rows.reshape(b.shape)

    _, change = jax.jvp(slope, (filters, image, penalty), (tangents[0], tangents[1], tangents[3]))
    # The iteration itself has no transpose.
    return codes, lax.custom_linear_solve(curvature, -change, solution, symmetric=True)
