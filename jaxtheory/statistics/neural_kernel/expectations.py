r"""Expectations of activations at two jointly Gaussian numbers of mean zero, in closed form.

Each function takes the covariance of the two numbers $u$ and $v$ and their variances, and returns
$\mathbb{E}[\phi(u) \phi(v)]$ and $\mathbb{E}[\phi'(u) \phi'(v)]$.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxtheory.core.roots import root

Pairs = Float[Array, "..."]

ROUNDING = 8
"""Cosines within so many units of rounding of ±1 count as ±1: the angle of equal points would otherwise be
the root of the rounding of a product, and its derivative infinite."""

ARC_SINE = np.array([4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1])
"""The coefficients of (arcsin(z) / z - 1) / z^2 in z^2, up to z = 1/2, the highest first: those of Cephes
(Stephen Moshier, 1992)."""


def relu_pairs(covariance: Pairs, one: Pairs, other: Pairs) -> tuple[Pairs, Pairs]:
    r"""Return the expectations for the ReLU, the arc-cosine kernels of order one and zero.

    $\frac{\sqrt{ab}}{2\pi} (\sin\theta + (\pi - \theta) \cos\theta)$ and $\frac{\pi - \theta}{2\pi}$, where
    $\cos\theta = k / \sqrt{ab}$.

    Args:
        covariance: The covariances $k$.
        one: The variances $a$ of the first number.
        other: The variances $b$ of the second number.

    Returns:
        The two expectations.

    References:
        Youngmin Cho and Lawrence Saul, "Kernel methods for deep learning", 2009.
    """
    scale = root(one) * root(other)
    cosine = jnp.clip(covariance / jnp.where(scale > 0, scale, 1), -1, 1)
    aligned = 1 - jnp.abs(cosine) <= ROUNDING * jnp.finfo(cosine.dtype).eps
    inside = jnp.where(aligned, 0, cosine)
    angle = jnp.where(aligned, jnp.where(cosine > 0, 0, jnp.pi), _angle(inside))
    sine = jnp.where(aligned, 0, jnp.sqrt((1 - inside) * (1 + inside)))
    away = jnp.pi - angle
    return scale / (2 * jnp.pi) * (sine + away * cosine), away / (2 * jnp.pi)


def erf_pairs(covariance: Pairs, one: Pairs, other: Pairs) -> tuple[Pairs, Pairs]:
    r"""Return the expectations for the error function.

    $\frac2\pi \arcsin \frac{2k}{\sqrt{(1 + 2a)(1 + 2b)}}$ and
    $\frac4\pi \left((1 + 2a)(1 + 2b) - 4k^2\right)^{-1/2}$.

    Args:
        covariance: The covariances $k$.
        one: The variances $a$ of the first number.
        other: The variances $b$ of the second number.

    Returns:
        The two expectations.

    References:
        Christopher Williams, "Computing with infinite networks", 1997.
    """
    # Without the subtraction of nearly equal numbers where variances are large.
    left = jnp.sqrt(1 + 2 * (one + other) + 4 * jnp.maximum(one * other - covariance**2, 0))
    return 2 / jnp.pi * jnp.arctan2(2 * covariance, left), 4 / jnp.pi / left


EXPECTATIONS: dict[str, Callable[..., tuple[Pairs, Pairs]]] = {"relu": relu_pairs, "erf": erf_pairs}
"""The expectations by the name of the activation."""


@jax.custom_jvp
def _angle(cosine: Pairs) -> Pairs:
    """The arc cosine; on processors, XLA's own takes a hundred times as long as this in single precision."""
    if cosine.dtype != jnp.float32:
        return jnp.arccos(cosine)
    size = jnp.abs(cosine)
    near = size > 0.5
    square = jnp.where(near, (1 - size) / 2, size**2)
    argument = jnp.where(near, jnp.sqrt(square), size)
    series = jnp.polyval(ARC_SINE.astype(cosine.dtype), square, unroll=len(ARC_SINE))
    sine = argument + argument * square * series
    angle = jnp.where(near, 2 * sine, jnp.pi / 2 - sine)
    return jnp.where(cosine < 0, jnp.pi - angle, angle)


@_angle.defjvp
def _angle_jvp(primals: tuple[Pairs], tangents: tuple[Pairs]) -> tuple[Pairs, Pairs]:
    (cosine,), (tangent,) = primals, tangents
    return _angle(cosine), -tangent / jnp.sqrt((1 - cosine) * (1 + cosine))
