r"""Proximal operators of sparsity: $\mathrm{prox}_f(x) = \arg\min_z \frac12 \|z - x\|^2 + f(z)$.

Each is differentiable by autodiff wherever it is smooth, and its derivative is finite everywhere: on a kink
it is one of the derivatives beside it or their mean. Thresholds are nonnegative; a negative one gives no
proximal operator, and nobody checks.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Values = Float[Array, "..."] | Float[np.ndarray, "..."]
Amount = Float[Array, "..."] | Float[np.ndarray, "..."] | float | int | np.floating


def soft_threshold(x: Values, threshold: Amount) -> Float[Array, "..."]:
    r"""Shrinks towards zero, the proximal operator of $t \|z\|_1$: $\mathrm{sign}(x) \max(|x| - t, 0)$.

    Args:
        x: Any shape.
        threshold: $t \ge 0$, broadcast with `x`.

    Returns:
        The shrunken values, in the shape of both.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.soft_threshold(jnp.array([-3.0, 0.5, 2.0]), 1.0)
        Array([-2.,  0.,  1.], dtype=float32)

    References:
        Donoho, De-noising by soft-thresholding, 1995.
    """
    # Without `sign`, which a Pallas kernel cannot compute away from its device.
    return jnp.maximum(x - threshold, 0) - jnp.maximum(-x - threshold, 0)


def nonnegative_soft_threshold(x: Values, threshold: Amount) -> Float[Array, "..."]:
    r"""The proximal operator of $t \|z\|_1$ over $z \ge 0$: $\max(x - t, 0)$, a ReLU with bias $-t$.

    Args:
        x: Any shape.
        threshold: $t \ge 0$, broadcast with `x`.

    Returns:
        The shrunken values, in the shape of both.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.nonnegative_soft_threshold(jnp.array([-3.0, 0.5, 2.0]), 1.0)
        Array([0., 0., 1.], dtype=float32)

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    return jnp.maximum(x - threshold, 0)


def hard_threshold(x: Values, threshold: Amount) -> Float[Array, "..."]:
    r"""Keeps what exceeds the threshold, a proximal operator of $\frac{t^2}{2} \|z\|_0$: $x \, [|x| > t]$.

    Args:
        x: Any shape.
        threshold: $t \ge 0$, broadcast with `x`.

    Returns:
        The values kept, zeros elsewhere, in the shape of both.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.hard_threshold(jnp.array([-3.0, 0.5, 2.0]), 1.0)
        Array([-3.,  0.,  2.], dtype=float32)

    References:
        Blumensath and Davies, Iterative thresholding for sparse approximations, 2008.
    """
    return jnp.where(jnp.abs(x) > threshold, x, 0)


def group_soft_threshold(
    x: Values, threshold: Amount, *, axis: int | tuple[int, ...] = -1
) -> Float[Array, "..."]:
    r"""Shrinks groups by their length, the proximal operator of $t \sum_g \|z_g\|_2$.

    A group $x_g$ becomes $x_g \max(1 - t / \|x_g\|_2, 0)$.

    Args:
        x: Any shape.
        threshold: $t \ge 0$, broadcast with `x`, of size 1 along `axis`.
        axis: Along which the members of a group lie.

    Returns:
        The shrunken groups, in the shape of both.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.group_soft_threshold(jnp.array([[3.0, 4.0], [0.6, 0.8]]), 1.0)
        Array([[2.4, 3.2],
               [0. , 0. ]], dtype=float32)

    References:
        Yuan and Lin, Model selection and estimation in regression with grouped variables, 2006.
    """
    energy = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    # Below the smallest normal number a length has no derivative worth the name: such a group counts as zero.
    present = energy > jnp.finfo(energy.dtype).tiny
    length = jnp.sqrt(jnp.where(present, energy, 1))
    return x * jnp.where(present, jnp.maximum(1 - threshold / length, 0), jnp.equal(threshold, 0))


def l0_ball(x: Values, sparsity: int) -> Float[Array, "..."]:
    r"""Projects on the vectors of at most $k$ nonzeros: keeps the $k$ largest in magnitude of the last axis.

    Args:
        x: `(..., n)`.
        sparsity: $k$, from 0 to n.

    Returns:
        `(..., n)`, zeros outside of the largest; of equal ones the first are kept.

    Raises:
        ValueError: If the sparsity is negative or above n.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.l0_ball(jnp.array([1.0, -3.0, 2.0]), 2)
        Array([ 0., -3.,  2.], dtype=float32)

    References:
        Blumensath and Davies, Iterative hard thresholding for compressed sensing, 2009.
    """
    size = jnp.shape(x)[-1]
    if not 0 <= sparsity <= size:
        raise ValueError(f"sparsity is {sparsity}: of {size} values, 0 to {size} can be kept")
    _, kept = jax.lax.top_k(jnp.abs(x), sparsity)
    mask = jnp.put_along_axis(jnp.zeros(jnp.shape(x), bool), kept, True, axis=-1, inplace=False)
    return jnp.where(mask, x, 0)


def elastic_net(x: Values, l1: Amount, l2: Amount) -> Float[Array, "..."]:
    r"""The proximal operator of $a \|z\|_1 + \frac{b}{2} \|z\|_2^2$: the soft threshold at $a$, over $1 + b$.

    Args:
        x: Any shape.
        l1: $a \ge 0$, broadcast with `x`.
        l2: $b \ge 0$, broadcast with `x`.

    Returns:
        The shrunken values, in the shape of all three.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import proximal
        >>> proximal.elastic_net(jnp.array([-3.0, 0.5, 2.0]), 1.0, 1.0)
        Array([-1. ,  0. ,  0.5], dtype=float32)

    References:
        Zou and Hastie, Regularization and variable selection via the elastic net, 2005.
    """
    return soft_threshold(x, l1) / (1 + l2)
