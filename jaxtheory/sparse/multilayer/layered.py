r"""Layered pursuits: each layer's codes are found from those of the layer before.

Conventions: filters, images and codes have the shapes that `model` names. Thresholds and penalties are a
sequence with an entry for each layer: a number, one for each atom, or an array that broadcasts with the
codes.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, Boundary, RealScalar
from jaxtheory.sparse import pursuit
from jaxtheory.sparse.multilayer.layout import Layers, Layout, PerLayer, Strides
from jaxtheory.sparse.proximal import hard_threshold, nonnegative_soft_threshold, soft_threshold
from jaxtheory.sparse.results import LassoResult

Shrinkage = Literal["soft", "nonnegative", "hard"]

SHRINKAGES = {"soft": soft_threshold, "nonnegative": nonnegative_soft_threshold, "hard": hard_threshold}
"""The thresholdings by name."""


def layered_thresholding(
    filters: Layers,
    images: Real[AnyArray, "..."],
    thresholds: PerLayer,
    *,
    kind: Shrinkage = "soft",
    strides: Strides = 1,
    boundary: Boundary = "periodic",
) -> tuple[Float[Array, "..."], ...]:
    r"""Threshold the analysis of each layer in turn: $\hat\Gamma_i = P_{\beta_i}(D_i^T \hat\Gamma_{i-1})$.

    With nonnegative soft thresholding this is the forward pass of a convolutional network with the filters as
    kernels, biases $-\beta_i$ and rectifiers.

    Args:
        filters: The filters $D_i$ of each layer.
        images: The images $\hat\Gamma_0$, or signals.
        thresholds: The thresholds $\beta_i \ge 0$ of each layer.
        kind: The thresholding $P$: `"soft"`, `"nonnegative"`, which is soft as well, or `"hard"`.
        strides: The strides of each layer, or one for all.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.

    Returns:
        The codes $(\hat\Gamma_1, \dots, \hat\Gamma_L)$.

    Raises:
        ValueError: If shapes do not match, strides do not divide the images, a threshold is negative, or an
            option is unknown.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> haar = jnp.array([[[1.0, 1.0]], [[1.0, -1.0]]]) / jnp.sqrt(2)
        >>> x = jnp.array([[3.0], [3.0], [0.0], [1.0]])
        >>> multilayer.layered_thresholding([haar], x, [0.5], kind="nonnegative", strides=2)[0].round(2)
        Array([[3.74, 0.  ],
               [0.21, 0.  ]], dtype=float32)

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    checks.one_of("kind", kind, tuple(SHRINKAGES))
    layout, filters, (images,), back = Layout.prepare(filters, strides, boundary, images=images)
    layout.check_images(filters, images)
    thresholds = layout.per_layer("thresholds", thresholds, filters, images, positive=False)
    return back(_thresholded(kind, layout, filters, images, thresholds))


@partial(jax.jit, static_argnums=(0, 1))
def _thresholded(
    kind: Shrinkage,
    layout: Layout,
    filters: tuple[Array, ...],
    images: Array,
    thresholds: tuple[Array, ...],
) -> tuple[Array, ...]:
    layers = []
    for index, (one, threshold) in enumerate(zip(filters, thresholds)):
        images = SHRINKAGES[kind](layout.analyze(one, images, index), threshold)
        layers.append(images)
    return tuple(layers)


def layered_basis_pursuit(
    filters: Layers,
    images: Real[AnyArray, "..."],
    penalties: PerLayer,
    *,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "periodic",
    tolerance: RealScalar | None = None,
    max_steps: int = 1000,
) -> tuple[LassoResult, ...]:
    r"""Solve a lasso in each layer in turn.

    $\hat\Gamma_i = \arg\min_z \frac12 \|\hat\Gamma_{i-1} - D_i z\|_2^2 + \xi_i \|z\|_1$, by `pursuit.lasso`,
    with its stop, its derivatives and its flags.

    Args:
        filters: The filters $D_i$ of each layer.
        images: The images $\hat\Gamma_0$, or signals.
        penalties: The weights $\xi_i \ge 0$ of the sparsity terms, for each layer.
        nonnegative: Whether codes must be nonnegative.
        strides: The strides of each layer, or one for all.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.
        tolerance: The largest duality gap in each layer, relative to the objective; `None` is what the dtype
            can reach.
        max_steps: The largest number of steps of the solver in each layer, at least 1.

    Returns:
        A result for each layer. From the second layer on, objective, gap and flag are those of the problem
        that the codes before pose.

    Raises:
        ValueError: If shapes do not match, strides do not divide the images, a penalty is negative, or an
            option is unknown or out of range.
        TypeError: If an array is not real, or the number of steps is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> haar = jnp.array([[[1.0, 1.0]], [[1.0, -1.0]]]) / jnp.sqrt(2)
        >>> x = jnp.array([[3.0], [3.0], [0.0], [1.0]])
        >>> multilayer.layered_basis_pursuit([haar], x, [0.5], strides=2)[0].codes.round(2).tolist()
        [[3.74, 0.0], [0.21, -0.21]]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    layout, filters, (images,), back = Layout.prepare(filters, strides, boundary, images=images)
    layout.check_images(filters, images)
    penalties = layout.per_layer("penalties", penalties, filters, images, positive=False)
    max_steps = checks.count("max_steps", max_steps)
    if tolerance is not None:
        checks.nonnegative("tolerance", tolerance, one=True)
        (tolerance, _), _ = real_arrays(tolerance=tolerance, images=images)
    facts = (checks.flag("nonnegative", nonnegative), max_steps)
    return back(_pursued(facts, layout, filters, images, penalties, tolerance))


@partial(jax.jit, static_argnums=(0, 1))
def _pursued(
    facts: tuple[bool, int],
    layout: Layout,
    filters: tuple[Array, ...],
    images: Array,
    penalties: tuple[Array, ...],
    tolerance: Array | None,
) -> tuple[LassoResult, ...]:
    nonnegative, max_steps = facts
    space, results = layout.space, []
    lead = images.shape[: images.ndim - space - 1]
    shapes = layout.shapes(images.shape[-space - 1 : -1])
    for index, (one, penalty, size) in enumerate(zip(filters, penalties, shapes)):
        event, shape = images.shape[-space - 1 :], (*size, one.shape[-1])

        def apply(filters: Array, codes: Array, index: int = index, shape: tuple[int, ...] = shape) -> Array:
            images = layout.synthesize(filters, codes.reshape(*codes.shape[:-1], *shape), index)
            return images.reshape(*codes.shape[:-1], math.prod(images.shape[-space - 1 :]))

        def adjoint(
            filters: Array, images: Array, index: int = index, event: tuple[int, ...] = event
        ) -> Array:
            codes = layout.analyze(filters, images.reshape(*images.shape[:-1], *event), index)
            return codes.reshape(*images.shape[:-1], math.prod(codes.shape[-space - 1 :]))

        penalty = jnp.broadcast_to(penalty, (*(lead if penalty.ndim > len(shape) else ()), *shape))
        penalty = penalty.reshape(*penalty.shape[: -len(shape)], math.prod(shape))
        found = pursuit.lasso(
            (Partial(apply, one), Partial(adjoint, one)),
            images.reshape(*lead, math.prod(event)),
            penalty,
            tolerance=tolerance,
            max_steps=max_steps,
            nonnegative=nonnegative,
        )
        images = found.codes.reshape(*lead, *shape)
        results.append(replace(found, codes=images))
    return tuple(results)
