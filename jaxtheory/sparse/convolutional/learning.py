r"""Learn the filters of a convolutional dictionary from images.

Conventions: filters and images have the shapes that `operators` names; a batch of images has one leading axis
or more, and all are averaged over.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Boundary, Reals, RealScalar
from jaxtheory.sparse.convolutional.operators import normalize
from jaxtheory.sparse.convolutional.penalized import (
    check_mask,
    fit_mask,
    fit_penalty,
    solve_lasso,
)
from jaxtheory.sparse.convolutional.plan import Domain, Plan
from jaxtheory.sparse.learning import Learner, bind


@record
class ConvolutionalState:
    """The state of learning filters."""

    filters: Float[Array, "..."]
    """The filters, of norm 1 at most."""
    rate: Float[Array, ""]
    """The size of the next step on the filters, relative to the energy of their codes."""
    step: Int[Array, ""]
    """The number of steps taken."""


def learner(
    penalty: Reals,
    *,
    nonnegative: bool = False,
    boundary: Boundary = "periodic",
    domain: Domain = "auto",
    tolerance: RealScalar = 1e-2,
    max_steps: int = 50,
    filter_steps: int = 10,
) -> Learner:
    r"""Make a learner of filters, which alternates between codes and filters.

    A step finds the codes of a batch by `lasso` and then takes descent steps on the filters. Both lower the
    mean over the images of $\frac12 \|m \odot (x - \sum_k d_k * z_k)\|^2 + \sum_k \lambda_k \|z_k\|_1$,
    subject to $\|d_k\| \le 1$. With given codes it is quadratic in the filters, which follow spectral
    projected gradients, each atom's divided by the energy of its codes. An atom that is not used is left as
    it is. An atom of zeros is first replaced by a patch of the images, of those with the most energy. An
    image that holds infinities or NaN is ignored.

    `init(filters)` divides filters, such as random ones or patches, by their norms. `step(state, batch)`
    takes images, or a pair of images and their mask, with weights from 0, for a value that is missing and may
    be anything, to 1. Its metric `"objective"` is the mean objective before the step on the filters.

    Args:
        penalty: The weight $\lambda \ge 0$ of the sparsity term, one number or one for each atom, as `lasso`
            takes it.
        nonnegative: Whether codes must be nonnegative.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.
        domain: How convolutions are computed: `"spatial"`, `"fourier"`, or `"auto"`, by the filters' size.
        tolerance: The largest duality gap of the codes, relative to their objective.
        max_steps: The largest number of steps of `lasso`, at least 1; learning continues with the codes found
            by then.
        filter_steps: The number of steps on the filters, at least 1.

    Returns:
        The learner, for `jaxtheory.sparse.learning.run`.

    Raises:
        ValueError: If an option is unknown or out of range; at a step, if shapes do not match.
        TypeError: If a number of steps is not a whole number; at a step, if an array is not real.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import convolutional, learning
        >>> images = jax.random.laplace(jax.random.key(0), (8, 32, 1))
        >>> learner = convolutional.learner(0.5)
        >>> state = learner.init(jax.random.normal(jax.random.key(1), (5, 1, 4)))
        >>> state, metrics = learning.run(learner, state, images, steps=10)
        >>> bool(metrics["objective"][-1] < metrics["objective"][0])
        True

    References:
        Birgin, Martínez and Raydan, Nonmonotone spectral projected gradient methods on convex sets, 2000.
        Garcia-Cardona and Wohlberg, Convolutional dictionary learning: a comparative review and new
        algorithms, 2018.
    """
    checks.nonnegative("penalty", penalty)
    checks.one_of("boundary", boundary, ("periodic", "zero"))
    checks.one_of("domain", domain, ("auto", "spatial", "fourier"))
    checks.nonnegative("tolerance", tolerance, one=True)
    static = {
        "nonnegative": checks.flag("nonnegative", nonnegative),
        "boundary": boundary,
        "domain": domain,
        "max_steps": checks.count("max_steps", max_steps),
        "filter_steps": checks.count("filter_steps", filter_steps),
    }
    return Learner(bind(_init), bind(_step, static=static, penalty=penalty, tolerance=tolerance))


def _init(filters: Real[AnyArray, "..."]) -> ConvolutionalState:
    filters = normalize(filters)
    return ConvolutionalState(filters, jnp.ones((), filters.dtype), jnp.zeros((), jnp.int32))


def _step(
    state: ConvolutionalState,
    batch: Real[AnyArray, "..."] | tuple[AnyArray, AnyArray],
    *,
    penalty: Reals,
    tolerance: RealScalar,
    nonnegative: bool,
    boundary: Boundary,
    domain: Domain,
    max_steps: int,
    filter_steps: int,
) -> tuple[ConvolutionalState, dict[str, Array]]:
    images, mask = batch if isinstance(batch, tuple) else (batch, None)
    check_mask(mask)
    (filters, rate, images), back = real_arrays(filters=state.filters, rate=state.rate, images=images)
    (mask, penalty, tolerance, _), _ = real_arrays(
        optional=("mask", "tolerance"), mask=mask, penalty=penalty, tolerance=tolerance, images=images
    )
    plan = Plan.of(filters, images, boundary, domain)
    fit_penalty(penalty, plan.atoms)
    fit_mask(mask, images)
    if mask is not None:
        mask = jnp.broadcast_to(mask.astype(images.dtype), images.shape)
    fitted, rate, objective = _moved(
        plan, nonnegative, filters, rate, images, mask, penalty, tolerance, max_steps, filter_steps
    )
    dtype = state.filters.dtype
    after = ConvolutionalState(fitted.astype(dtype), rate.astype(dtype), state.step + 1)
    return after, {"objective": back(objective)}


@partial(jax.jit, static_argnums=(0, 1))
def _moved(
    plan: Plan,
    nonnegative: bool,
    filters: Array,
    rate: Array,
    images: Array,
    mask: Array | None,
    penalty: Array,
    tolerance: RealScalar,
    max_steps: Array | int,
    filter_steps: Array | int,
) -> tuple[Array, Array, Array]:
    """The filters after a step, the size of the next one, and the mean objective before."""
    event = images.shape[1 - filters.ndim :]
    images = images.reshape(-1, *event) if images.size else jnp.zeros((0, *event), images.dtype)
    if mask is not None:
        mask = mask.reshape(images.shape)
        images = jnp.where(mask > 0, images, 0)
    whole = jnp.all(jnp.isfinite(images), tuple(range(1, images.ndim)), keepdims=True)
    images = jnp.where(whole, images, 0)
    filters = revived(filters, images)
    found = solve_lasso(plan, nonnegative, filters, images, penalty, mask, tolerance, max_steps)
    count = jnp.maximum(jnp.sum(whole), 1).astype(images.dtype)
    fitted, rate = _fitted(plan, filter_steps, filters, rate, images, found.codes, mask, count)
    return fitted, rate, jnp.sum(found.objective) / count


def revived(filters: Array, images: Array) -> Array:
    """Return filters with atoms of zeros replaced by the patches of the most energy, cut side by side.

    Args:
        filters: The filters.
        images: The images, with one leading axis.

    Returns:
        The filters; patches have unit norm, and one of zeros leaves an atom of zeros.
    """
    *kernel, channels, atoms = filters.shape
    space = len(kernel)
    if not images.shape[0]:
        return filters
    missing = [-n % k for n, k in zip(images.shape[1:-1], kernel)]
    tiles = jnp.pad(images, [(0, 0), *((0, room) for room in missing), (0, 0)])
    parts = [size for n, k in zip(tiles.shape[1:-1], kernel) for size in (n // k, k)]
    tiles = tiles.reshape(-1, *parts, channels)
    first = range(1, 2 * space + 1, 2)
    tiles = jnp.moveaxis(tiles, first, range(1, space + 1)).reshape(-1, *kernel, channels)
    energy = jnp.sum(tiles**2, tuple(range(1, tiles.ndim)))
    _, most = lax.top_k(energy, min(atoms, len(energy)))
    empty = ~jnp.any(filters != 0, tuple(range(filters.ndim - 1)))
    place = jnp.maximum(jnp.cumsum(empty) - 1, 0) % len(most)
    patches = normalize(jnp.moveaxis(tiles[most[place]], 0, -1))
    return jnp.where(empty, patches, filters)


def _fitted(
    plan: Plan,
    steps: Array | int,
    filters: Array,
    rate: Array,
    images: Array,
    codes: Array,
    mask: Array | None,
    count: Array,
) -> tuple[Array, Array]:
    """Filters that fit the images with given codes better, and the size of their next step."""
    # The fit is quadratic, so that the lowest point between the filters and their projected step is known.
    signals = filters.ndim == 3
    if signals:
        filters = filters[:, None]
        images, codes, mask = (None if a is None else a[..., None, :] for a in (images, codes, mask))
    images, codes, mask = (None if a is None else jnp.moveaxis(a, -1, 1) for a in (images, codes, mask))

    def synthesized(filters: Array) -> Array:
        spectra = plan.spectra(filters)
        return lax.map(lambda z: plan.extract(plan.spread(filters, spectra, z)), codes)

    def weighted(x: Array) -> Array:
        return x if mask is None else mask * x

    energy = jnp.sum(codes**2, (0, 2, 3)) / count
    scale = jnp.where(energy > 0, 1 / jnp.where(energy > 0, energy, 1), 0)
    adjoint = jax.linear_transpose(synthesized, filters)

    def move(_: Array | int, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        filters, residual, rate = carry
        (descent,) = adjoint(weighted(residual) / count)
        aim = filters + rate * scale * descent
        way = aim / jnp.sqrt(jnp.maximum(jnp.sum(aim**2, (0, 1, 2)), 1)) - filters
        change = weighted(synthesized(way))
        slope, curvature = jnp.sum(descent * way), jnp.sum(change**2) / count
        known = curvature > 0
        curvature = jnp.where(known, curvature, 1)
        share = jnp.where(known, jnp.clip(slope / curvature, 0, 1), 0)
        # What the curvature along this way lets one of its kind go (Barzilai and Borwein).
        rate = jnp.where(known, jnp.sum(energy * way**2) / curvature, rate)
        return filters + share * way, residual - share * change, rate

    residual = weighted(images - synthesized(filters))
    filters, _, rate = lax.fori_loop(0, steps, move, (filters, residual, rate))
    return filters[:, 0] if signals else filters, rate
