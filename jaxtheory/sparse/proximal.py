r"""Proximal operators of sparsity: $\mathrm{prox}_f(x) = \arg\min_z \frac12 \|z - x\|^2 + f(z)$.

Each is differentiable by autodiff wherever it is smooth, and its derivative is finite everywhere: on a kink
it is one of the derivatives beside it or their mean.

Conventions: `x` has any shape, and thresholds broadcast with it; complex numbers are a `TypeError`.
Thresholds are 0 or more. A negative one, which a network may learn, is not refused, and gives no proximal
operator.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, Reals

Values = Real[AnyArray, "..."]
"""Real numbers of any shape."""


def soft_threshold(x: Values, threshold: Reals) -> Float[Array, "..."]:
    r"""Shrink toward zero, the proximal operator of $t \|z\|_1$: $\mathrm{sign}(x) \max(|x| - t, 0)$.

    Args:
        x: The values.
        threshold: The threshold $t \ge 0$.

    Returns:
        The shrunken values.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.soft_threshold(jnp.array([-3.0, 0.5, 2.0]), 1.0)
        Array([-2.,  0.,  1.], dtype=float32)

    References:
        Donoho, De-noising by soft-thresholding, 1995.
    """
    (x, threshold), back = real_arrays(x=x, threshold=threshold)
    # Without `sign`, which a Pallas kernel cannot compute away from its device.
    return back(jnp.maximum(x - threshold, 0) - jnp.maximum(-x - threshold, 0))


def nonnegative_soft_threshold(x: Values, threshold: Reals) -> Float[Array, "..."]:
    r"""Shrink nonnegative values, the proximal operator of $t \|z\|_1$ over $z \ge 0$: $\max(x - t, 0)$.

    It is a ReLU with the bias $-t$.

    Args:
        x: The values.
        threshold: The threshold $t \ge 0$.

    Returns:
        The shrunken values.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.nonnegative_soft_threshold(jnp.array([-3.0, 0.5, 2.0]), 1.0)
        Array([0., 0., 1.], dtype=float32)

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    (x, threshold), back = real_arrays(x=x, threshold=threshold)
    return back(jnp.maximum(x - threshold, 0))


def hard_threshold(x: Values, threshold: Reals) -> Float[Array, "..."]:
    r"""Keep what exceeds the threshold, a proximal operator of $\frac{t^2}{2} \|z\|_0$: $x \, [|x| > t]$.

    Args:
        x: The values.
        threshold: The threshold $t \ge 0$.

    Returns:
        The values kept, and zeros elsewhere.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.hard_threshold(jnp.array([-3.0, 0.5, 2.0]), 1.0)
        Array([-3.,  0.,  2.], dtype=float32)

    References:
        Blumensath and Davies, Iterative thresholding for sparse approximations, 2008.
    """
    (x, threshold), back = real_arrays(x=x, threshold=threshold)
    return back(jnp.where(jnp.abs(x) > threshold, x, 0))


def group_soft_threshold(
    x: Values, threshold: Reals, *, axis: int | tuple[int, ...] = -1
) -> Float[Array, "..."]:
    r"""Shrink groups by their length, the proximal operator of $t \sum_g \|z_g\|_2$.

    A group $x_g$ becomes $x_g \max(1 - t / \|x_g\|_2, 0)$.

    Args:
        x: The values.
        threshold: The threshold $t \ge 0$, of size 1 along `axis` if it is an array.
        axis: The axis, or axes, along which the members of a group lie.

    Returns:
        The shrunken groups.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.group_soft_threshold(jnp.array([[3.0, 4.0], [0.6, 0.8]]), 1.0)
        Array([[2.4, 3.2],
               [0. , 0. ]], dtype=float32)

    References:
        Yuan and Lin, Model selection and estimation in regression with grouped variables, 2006.
    """
    (x, threshold), back = real_arrays(x=x, threshold=threshold)
    energy = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    # Below the smallest normal number a length has no derivative worth the name: such a group counts as zero.
    present = energy > jnp.finfo(energy.dtype).tiny
    length = jnp.sqrt(jnp.where(present, energy, 1))
    return back(x * jnp.where(present, jnp.maximum(1 - threshold / length, 0), jnp.equal(threshold, 0)))


def l0_ball(x: Real[AnyArray, "... n"], sparsity: int) -> Float[Array, "... n"]:
    r"""Project on the vectors of at most $k$ nonzeros: keep the $k$ largest in magnitude of the last axis.

    Args:
        x: The vectors.
        sparsity: The number $k$ of values to keep, from 0 to their number.

    Returns:
        The vectors with zeros outside the largest values; of equal ones the first are kept.

    Raises:
        ValueError: If the sparsity is negative or above their number.
        TypeError: If the sparsity is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.l0_ball(jnp.array([1.0, -3.0, 2.0]), 2)
        Array([ 0., -3.,  2.], dtype=float32)

    References:
        Blumensath and Davies, Iterative hard thresholding for compressed sensing, 2009.
    """
    (x,), back = real_arrays(x=x)
    checks.axes("x", x, "...", "n")
    _, kept = jax.lax.top_k(jnp.abs(x), checks.count("sparsity", sparsity, least=0, most=x.shape[-1]))
    mask = jnp.put_along_axis(jnp.zeros(x.shape, bool), kept, True, axis=-1, inplace=False)
    return back(jnp.where(mask, x, 0))


def elastic_net(x: Values, l1: Reals, l2: Reals) -> Float[Array, "..."]:
    r"""Shrink toward zero, the proximal operator of $a \|z\|_1 + \frac{b}{2} \|z\|_2^2$.

    It is the soft threshold at $a$, divided by $1 + b$.

    Args:
        x: The values.
        l1: The weight $a \ge 0$ of the absolute values.
        l2: The weight $b \ge 0$ of the squares.

    Returns:
        The shrunken values.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.elastic_net(jnp.array([-3.0, 0.5, 2.0]), 1.0, 1.0)
        Array([-1. ,  0. ,  0.5], dtype=float32)

    References:
        Zou and Hastie, Regularization and variable selection via the elastic net, 2005.
    """
    (x, l1, l2), back = real_arrays(x=x, l1=l1, l2=l2)
    return back(soft_threshold(x, l1) / (1 + l2))
