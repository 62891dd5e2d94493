r"""Learn the filters of all layers together.

Conventions: filters and images have the shapes that `model` names; a batch of images has one leading axis or
more, and all are averaged over.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Boundary
from jaxtheory.sparse import convolutional
from jaxtheory.sparse.convolutional.learning import revived
from jaxtheory.sparse.learning import Learner, bind
from jaxtheory.sparse.multilayer.iterative import default_sizes, iterate, objective
from jaxtheory.sparse.multilayer.layout import Layers, Layout, PerLayer, Strides, check_layers, check_strides

ARMIJO = 1e-4
"""The share of the decrease that the gradient promises, which a step on the filters must keep."""

GROWTH, HALVINGS = 1.5, 30
"""A step's size grows by `GROWTH` after each step, and is halved at most `HALVINGS` times within one."""


@record
class MultilayerState:
    """The state of learning the filters of several layers."""

    filters: tuple[Float[Array, "..."], ...]
    """The filters of each layer, atoms of unit norm."""
    rate: Float[Array, ""]
    """The size of the next step on the filters."""
    step: Int[Array, ""]
    """The number of steps taken."""


def learner(
    penalties: PerLayer,
    *,
    code_steps: int = 50,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "periodic",
) -> Learner:
    r"""Make a learner of the filters of all layers, which alternates between codes and filters.

    A step finds the codes of a batch by `ml_fista` and then takes a descent step on the filters of all
    layers. Both lower the mean over images of the objective of `ml_ista`. The filters go down its gradient
    along the sphere, each atom's divided by the energy of its codes (and its layer's by the squared norms of
    the layers above), by a step that is halved until it lowers the objective with these codes by a share of
    what the gradient promises. An atom that is not used is left as it is. An atom of zeros is first replaced
    by a patch of what lies below it, of those with the most energy: in the first layer of the images, in
    others of the products of the atoms below with theirs.

    `init(filters)` divides the filters of each layer, such as those of `init`, by their norms.
    `step(state, images)` takes a batch of images. Its metric `"objective"` is the mean objective before the
    step on the filters.

    Args:
        penalties: The weights $\lambda_i \ge 0$ of the sparsity terms, for each layer: a number, one for each
            atom, or an array that broadcasts with the codes.
        code_steps: The number of steps of `ml_fista`, at least 1.
        nonnegative: Whether codes must be nonnegative.
        strides: The strides of each layer, or one for all.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.

    Returns:
        The learner, for `jaxtheory.sparse.learning.run`.

    Raises:
        ValueError: If a penalty is negative, or an option is unknown or out of range; at a step, if shapes do
            not match.
        TypeError: If a number is not a whole number; at a step, if an array is not real.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import learning, multilayer
        >>> learner = multilayer.learner([0.1, 0.1])
        >>> state = learner.init(multilayer.init(jax.random.key(0), [(3,), (3,)], (2, 4)))
        >>> images = jax.random.normal(jax.random.key(1), (8, 16, 1))
        >>> state, metrics = learning.run(learner, state, images, steps=10)
        >>> bool(metrics["objective"][-1] < metrics["objective"][0])
        True

    References:
        Sulam, Papyan, Romano and Elad, Multilayer convolutional sparse modeling: pursuit and dictionary
        learning, 2018.
    """
    check_layers("penalties", penalties, None, positive=False)
    checks.one_of("boundary", boundary, ("periodic", "zero"))
    static = {
        "code_steps": checks.count("code_steps", code_steps),
        "nonnegative": checks.flag("nonnegative", nonnegative),
        "strides": check_strides(strides, len(penalties)),
        "boundary": boundary,
    }
    return Learner(
        bind(_init, static={"layers": len(penalties)}), bind(_step, static=static, penalties=tuple(penalties))
    )


def _init(filters: Layers, *, layers: int) -> MultilayerState:
    _, filters, _, back = Layout.prepare(filters, 1)
    if len(filters) != layers:
        raise ValueError(f"filters has {len(filters)} layers: take as many as penalties, {layers}")
    filters = tuple(convolutional.normalize(one) for one in filters)
    rate = jnp.ones((), filters[0].dtype)
    return back(MultilayerState(filters, rate, jnp.zeros((), jnp.int32)))


def _step(
    state: MultilayerState,
    images: Real[AnyArray, "..."],
    *,
    penalties: tuple,
    code_steps: int,
    nonnegative: bool,
    strides: tuple[int, ...],
    boundary: Boundary,
) -> tuple[MultilayerState, dict[str, Array]]:
    layout, filters, (images, rate), back = Layout.prepare(
        state.filters, strides, boundary, images=images, rate=state.rate
    )
    layout.check_images(filters, images)
    penalties = layout.per_layer("penalties", penalties, filters, images, positive=False)
    facts = (code_steps, nonnegative, True)
    after, rate, value = _moved(facts, layout, filters, rate, images, penalties)
    kept = [one.astype(own.dtype) for one, own in zip((*after, rate), (*state.filters, state.rate))]
    return MultilayerState(tuple(kept[:-1]), kept[-1], state.step + 1), {"objective": back(value)}


def _revived(layout: Layout, filters: tuple[Array, ...], images: Array) -> tuple[Array, ...]:
    """The filters, with atoms of zeros replaced by patches of what lies below them."""

    def replaced() -> tuple[Array, ...]:
        below, found = images.reshape(-1, *images.shape[-layout.space - 1 :]), []
        for index, one in enumerate(filters):
            found.append(revived(one, below))
            below = layout.analyze(found[-1], below, index)
        return tuple(found)

    empty = [jnp.any(jnp.all(one == 0, tuple(range(one.ndim - 1)))) for one in filters]
    return lax.cond(jnp.any(jnp.stack(empty)), replaced, lambda: filters)


@partial(jax.jit, static_argnums=(0, 1))
def _moved(
    facts: tuple[int, bool, bool],
    layout: Layout,
    filters: tuple[Array, ...],
    rate: Array,
    images: Array,
    penalties: tuple[Array, ...],
) -> tuple[tuple[Array, ...], Array, Array]:
    """The filters after a step, the size of the next step, and the objective before."""
    filters = _revived(layout, filters, images)
    step_sizes = default_sizes(layout, filters, images.shape[-layout.space - 1 : -1])
    codes = iterate(facts, layout, filters, images, penalties, step_sizes).codes[-1]

    def mean(filters: tuple[Array, ...]) -> Array:
        return jnp.mean(objective(layout, filters, codes, images, penalties))

    value, gradient = jax.value_and_grad(mean)(filters)
    layers = layout.down(filters, codes)[1:]
    # The layers above magnify what an atom contributes to the image.
    scales = jnp.concatenate([jnp.ones(1, step_sizes.dtype), jnp.cumprod(step_sizes)])
    directions, slope = [], 0
    for one, slopes, z, scale in zip(filters, gradient, layers, scales):
        axes = tuple(range(one.ndim - 1))
        tangent = slopes - one * jnp.sum(one * slopes, axes)
        energy = jnp.mean(z**2, tuple(range(z.ndim - 1))) * math.prod(z.shape[1 - one.ndim : -1])
        direction = scale * tangent / jnp.where(energy > 0, energy, 1)
        directions.append(direction)
        slope = slope + jnp.sum(tangent * direction)

    def moved(rate: Array) -> tuple[Array, ...]:
        # An atom that does not move is not rounded anew.
        still = [jnp.all(p == 0, tuple(range(p.ndim - 1))) for p in directions]
        return tuple(
            jnp.where(stays, d, convolutional.normalize(d - rate * p))
            for d, p, stays in zip(filters, directions, still)
        )

    def too_far(carry: tuple[Array, Array]) -> Array:
        rate, tries = carry
        return (mean(moved(rate)) > value - ARMIJO * rate * slope) & (tries < HALVINGS)

    def halved(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        rate, tries = carry
        return rate / 2, tries + 1

    shorter, tries = lax.while_loop(too_far, halved, (rate, jnp.zeros((), int)))
    lower = tries < HALVINGS
    after = jax.tree.map(lambda new, old: jnp.where(lower, new, old), moved(shorter), filters)
    return after, jnp.where(lower, GROWTH * shorter, rate), value
