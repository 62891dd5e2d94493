r"""Multilayer ISTA and FISTA: the codes of all layers at once.

Conventions: filters, images and codes have the shapes that `model` names. Penalties are a sequence with an
entry for each layer: a number, one for each atom, or an array that broadcasts with the codes.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Boundary
from jaxtheory.sparse.multilayer.layout import Layers, Layout, PerLayer, Strides
from jaxtheory.sparse.multilayer.norms import squared_norms
from jaxtheory.sparse.proximal import nonnegative_soft_threshold, soft_threshold


@record
class MultilayerResult:
    """Codes of all layers after a fixed number of steps of ML-ISTA or ML-FISTA."""

    codes: tuple[Float[Array, "..."], ...]
    """The codes of each layer, the deepest last."""
    objective: Float[Array, "..."]
    """The value of the objective at the deepest codes."""
    change: Float[Array, "..."]
    """The norm of the deepest codes' change in the last step, relative to their norm."""
    steps: Int[Array, "..."]
    """The number of steps taken."""


def ml_ista(
    filters: Layers,
    images: Real[AnyArray, "..."],
    penalties: PerLayer,
    *,
    steps: int = 100,
    step_sizes: PerLayer | None = None,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "periodic",
) -> MultilayerResult:
    r"""Minimize the objective of multilayer basis pursuit by iterative shrinkage-thresholding (ML-ISTA).

    $$\min_{\gamma_L} \tfrac12 \|x - D_1 \cdots D_L \gamma_L\|_2^2 +
    \sum_i \lambda_i \|D_{i+1} \cdots D_L \gamma_L\|_1$$

    A step takes $\hat\gamma_i = D_{i+1} \cdots D_L \gamma_L$ and then, from the first layer to the last, with
    $\gamma_0 = x$, $\gamma_i = S_{t_i \lambda_i}(\hat\gamma_i + \mu_i D_i^T (\gamma_{i-1} -
    \hat\gamma_{i-1}))$, where $t_i = \mu_1 \cdots \mu_i$. One step of size 1 from zero is layered soft
    thresholding. With $\mu_i \le 1 / \|D_i\|_2^2$ the steps converge to a fixed point. With one layer that is
    the minimizer; with more it comes as near to the minimum as $\mu_1, \dots, \mu_{L-1}$ are small.

    Args:
        filters: The filters $D_i$ of each layer.
        images: The images $x$, or signals.
        penalties: The weights $\lambda_i \ge 0$ of the sparsity terms, for each layer.
        steps: The number of steps, from codes of zero, at least 1.
        step_sizes: The sizes $\mu_i > 0$ of the steps, for each layer; by default $1 / \|D_i\|_2^2$.
        nonnegative: Whether codes must be nonnegative, which makes each step a recurrent layer of rectifiers.
        strides: The strides of each layer, or one for all.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.

    Returns:
        The codes $\gamma_i$ of all layers, each as sparse as its shrinkage leaves it, with the objective at
        $\gamma_L$ and the size of the last change.

    Raises:
        ValueError: If shapes do not match, strides do not divide the images, a penalty is negative, a step
            size is not positive, or an option is unknown or out of range.
        TypeError: If an array is not real, or the number of steps is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> filters = jnp.array([1.0, 2.0])[:, None, None]
        >>> x = jnp.array([0.0, 1.0, 2.0, 0.0])[:, None]
        >>> multilayer.ml_ista([filters], x, [0.5]).codes[0][:, 0].round(3)
        Array([0. , 0.9, 0. , 0. ], dtype=float32)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    return _iterated(
        filters, images, penalties, step_sizes, steps, nonnegative, strides, boundary, accelerated=False
    )


def ml_fista(
    filters: Layers,
    images: Real[AnyArray, "..."],
    penalties: PerLayer,
    *,
    steps: int = 100,
    step_sizes: PerLayer | None = None,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "periodic",
) -> MultilayerResult:
    r"""Minimize as `ml_ista` does, with Nesterov's momentum (ML-FISTA).

    A step starts from $\gamma_L^k + \frac{\tau_k - 1}{\tau_{k+1}} (\gamma_L^k - \gamma_L^{k-1})$ instead of
    $\gamma_L^k$, with $\tau_1 = 1$ and $\tau_{k+1} = (1 + \sqrt{1 + 4 \tau_k^2}) / 2$. The first step is that
    of `ml_ista`.

    Args:
        filters: The filters $D_i$ of each layer.
        images: The images $x$, or signals.
        penalties: The weights $\lambda_i \ge 0$ of the sparsity terms, for each layer.
        steps: The number of steps, from codes of zero, at least 1.
        step_sizes: The sizes $\mu_i > 0$ of the steps, for each layer; by default $1 / \|D_i\|_2^2$.
        nonnegative: Whether codes must be nonnegative.
        strides: The strides of each layer, or one for all.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.

    Returns:
        The codes of all layers, with the objective at the deepest ones and the size of the last change.

    Raises:
        ValueError: If shapes do not match, strides do not divide the images, a penalty is negative, a step
            size is not positive, or an option is unknown or out of range.
        TypeError: If an array is not real, or the number of steps is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> filters = jnp.array([1.0, 2.0])[:, None, None]
        >>> x = jnp.array([0.0, 1.0, 2.0, 0.0])[:, None]
        >>> multilayer.ml_fista([filters], x, [0.5], steps=60).codes[0][:, 0].round(3)
        Array([0. , 0.9, 0. , 0. ], dtype=float32)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
        Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems,
        2009.
    """
    return _iterated(
        filters, images, penalties, step_sizes, steps, nonnegative, strides, boundary, accelerated=True
    )


def _iterated(
    filters: Layers,
    images: AnyArray,
    penalties: PerLayer,
    step_sizes: PerLayer | None,
    steps: int,
    nonnegative: bool,
    strides: Strides,
    boundary: Boundary,
    *,
    accelerated: bool,
) -> MultilayerResult:
    layout, filters, (images,), back = Layout.prepare(filters, strides, boundary, images=images)
    layout.check_images(filters, images)
    penalties = layout.per_layer("penalties", penalties, filters, images, positive=False)
    steps = checks.count("steps", steps)
    if step_sizes is None:
        step_sizes = default_sizes(layout, filters, images.shape[-layout.space - 1 : -1])
    else:
        step_sizes = layout.per_layer("step_sizes", step_sizes, filters, images, positive=True)
    facts = (steps, checks.flag("nonnegative", nonnegative), accelerated)
    return back(iterate(facts, layout, filters, images, penalties, step_sizes))


@partial(jax.jit, static_argnums=(0, 2))
def default_sizes(layout: Layout, filters: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
    """The inverse squared norm of each layer; 1 for a layer of zeros, which any step leaves at zero."""
    norms = squared_norms(filters, shape, strides=layout.strides, boundary=layout.boundary)
    return jnp.where(norms > 0, 1 / jnp.where(norms > 0, norms, 1), 1)


@partial(jax.jit, static_argnums=(0, 1))
def iterate(
    facts: tuple[int, bool, bool],
    layout: Layout,
    filters: tuple[Array, ...],
    images: Array,
    penalties: tuple[Array, ...],
    step_sizes: tuple[Array, ...] | Array,
) -> MultilayerResult:
    """What `ml_ista` and `ml_fista` return, of arguments that were checked and have one dtype."""
    count, nonnegative, accelerated = facts
    shrink = nonnegative_soft_threshold if nonnegative else soft_threshold
    space = layout.space
    lead = images.shape[: images.ndim - space - 1]

    def step(deepest: Array) -> tuple[Array, ...]:
        current = layout.down(filters, deepest)
        below, whole, layers = images, 1, []
        for index, (one, mu, penalty) in enumerate(zip(filters, step_sizes, penalties)):
            whole = whole * mu
            moved = current[index + 1] + mu * layout.analyze(one, below - current[index], index)
            below = shrink(moved, whole * penalty)
            layers.append(below)
        return tuple(layers)

    def advance(carry: tuple, _: None) -> tuple[tuple, None]:
        layers, _, ahead, t = carry
        after = step(ahead)
        following = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        momentum = (t - 1) / following if accelerated else 0
        return (after, layers[-1], after[-1] + momentum * (after[-1] - layers[-1]), following), None

    shapes = layout.shapes(images.shape[-space - 1 : -1])
    layers = tuple(
        jnp.zeros((*lead, *size, one.shape[-1]), images.dtype) for one, size in zip(filters, shapes)
    )
    start = (layers, layers[-1], layers[-1], jnp.ones((), images.dtype))
    (layers, before, *_), _ = lax.scan(advance, start, length=count)
    axes = tuple(range(-space - 1, 0))
    energy, moved = (jnp.sum(a**2, axes) for a in (layers[-1], layers[-1] - before))
    share = moved / jnp.where(energy > 0, energy, 1)
    changing = share > 0
    return MultilayerResult(
        layers,
        objective(layout, filters, layers[-1], images, penalties),
        jnp.where(changing, jnp.sqrt(jnp.where(changing, share, 1)), 0),
        jnp.full(lead, count),
    )


def objective(
    layout: Layout,
    filters: tuple[Array, ...],
    deepest: Array,
    images: Array,
    penalties: tuple[Array, ...],
) -> Array:
    """The objective that `ml_ista` minimizes, of each image."""
    image, *codes = layout.down(filters, deepest)
    axes = tuple(range(-layout.space - 1, 0))
    fit = jnp.sum((images - image) ** 2, axes) / 2
    return fit + sum(jnp.sum(penalty * jnp.abs(z), axes) for penalty, z in zip(penalties, codes))
