r"""Kernels of infinitely wide, fully connected networks.

Conventions: a network of $L$ hidden layers computes $h_0 = x$, $h_l = \phi(z_l)$ and the output $z_{L+1}$,
where $z_l = \frac{\sigma_w}{\sqrt{n_{l-1}}} W_l h_{l-1} + \sigma_b b_l$ with $n_l$ units in layer $l$, and
all entries of $W_l$ and $b_l$ are standard normal; the tangent kernel is with respect to these entries. The
network itself is that of `networks.mlp.MLP` with the same variances.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics.neural_kernel.expectations import EXPECTATIONS

BLOCK = 256
"""The largest number of rows that are computed at once."""


@record
class Kernels:
    """The two kernels of an infinitely wide network, for one of its outputs."""

    nngp: Float[Array, "n m"]
    """The covariance of the outputs at initialization, that of a Gaussian process."""
    ntk: Float[Array, "n m"]
    """The tangent kernel: inner products of the gradients with respect to the parameters."""


def relu(
    x: Real[AnyArray, "n features"],
    y: Real[AnyArray, "m features"],
    depth: int,
    *,
    weight_variance: RealScalar = 2.0,
    bias_variance: RealScalar = 0.0,
    block: int = BLOCK,
) -> Kernels:
    r"""Return the kernels of an infinitely wide, fully connected ReLU network.

    $$K_1 = \sigma_w^2 \frac{\langle x, y \rangle}{d} + \sigma_b^2, \qquad
    K_{l+1} = \sigma_w^2 \mathbb{E}[\phi(u)\phi(v)] + \sigma_b^2, \qquad
    \Theta_{l+1} = K_{l+1} + \sigma_w^2 \mathbb{E}[\phi'(u)\phi'(v)] \, \Theta_l, \quad \Theta_1 = K_1,$$

    where $u$ and $v$ are Gaussian with the covariance $K_l$. Cosines within a few units of rounding of one
    count as one, so that equal points have exact values; in single precision, the tangent kernel of points
    whose angle is below about 0.0015 is off by up to 0.0005 of its value a layer.

    Args:
        x: The points of the kernel's rows.
        y: The points of the kernel's columns.
        depth: The number of hidden layers, at least 1.
        weight_variance: The variance $\sigma_w^2$ of weights, times the number of inputs to a unit; positive.
        bias_variance: The variance $\sigma_b^2$ of biases, at least 0.
        block: The largest number of rows that are computed at once, at least 1: beside the result, memory
            grows with `block` times m.

    Returns:
        The kernels `nngp` and `ntk`.

    Raises:
        TypeError: If points are complex or not an array of numbers, or `depth` is not a whole number.
        ValueError: If shapes do not match, or an option is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import neural_kernel
        >>> x = jnp.eye(2)
        >>> kernels = neural_kernel.relu(x, x, 1)
        >>> kernels.nngp.round(4).tolist(), kernels.ntk.round(4).tolist()
        ([[1.0, 0.3183...], [0.3183..., 1.0]], [[2.0, 0.3183...], [0.3183..., 2.0]])

    References:
        Arthur Jacot, Franck Gabriel and Clément Hongler, "Neural tangent kernel: convergence and
        generalization in neural networks", 2018.
        Jaehoon Lee, Yasaman Bahri, Roman Novak, Samuel Schoenholz, Jeffrey Pennington and Jascha
        Sohl-Dickstein, "Deep neural networks as Gaussian processes", 2018.
    """
    return _kernels("relu", x, y, depth, weight_variance, bias_variance, block)


def erf(
    x: Real[AnyArray, "n features"],
    y: Real[AnyArray, "m features"],
    depth: int,
    *,
    weight_variance: RealScalar = 2.0,
    bias_variance: RealScalar = 0.0,
    block: int = BLOCK,
) -> Kernels:
    r"""Return the kernels of an infinitely wide, fully connected network of error functions.

    The recursion is that of `relu`, with the expectations of $\mathrm{erf}(u)\,\mathrm{erf}(v)$ and of the
    derivatives in closed form.

    Args:
        x: The points of the kernel's rows.
        y: The points of the kernel's columns.
        depth: The number of hidden layers, at least 1.
        weight_variance: The variance $\sigma_w^2$ of weights, times the number of inputs to a unit; positive.
        bias_variance: The variance $\sigma_b^2$ of biases, at least 0.
        block: The largest number of rows that are computed at once, at least 1: beside the result, memory
            grows with `block` times m.

    Returns:
        The kernels `nngp` and `ntk`.

    Raises:
        TypeError: If points are complex or not an array of numbers, or `depth` is not a whole number.
        ValueError: If shapes do not match, or an option is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import neural_kernel
        >>> x = jnp.eye(2)
        >>> neural_kernel.erf(x, x, 1, weight_variance=1.0).nngp[0].round(4).tolist()
        [0.3333..., 0.0]

    References:
        Christopher Williams, "Computing with infinite networks", 1997.
    """
    return _kernels("erf", x, y, depth, weight_variance, bias_variance, block)


def _kernels(
    activation: str,
    x: Real[AnyArray, "n features"],
    y: Real[AnyArray, "m features"],
    depth: int,
    weight_variance: RealScalar,
    bias_variance: RealScalar,
    block: int,
) -> Kernels:
    (x, y, *variances), back = real_arrays(
        x=x, y=y, weight_variance=weight_variance, bias_variance=bias_variance
    )
    checks.axes("x", x, "n", "features")
    checks.axes("y", y, "m", "features", sizes=(None, x.shape[1]))
    for name, points in (("x", x), ("y", y)):
        if 0 in points.shape:
            raise ValueError(f"{name} has the shape {points.shape}: take at least one point and one feature")
    depth, block = checks.count("depth", depth), checks.count("block", block)
    checks.positive("weight_variance", variances[0], one=True)
    checks.nonnegative("bias_variance", variances[1], one=True)
    return back(_recursion(x, y, *variances, activation, depth, block))


@partial(jax.jit, static_argnames=("activation", "depth", "block"))
def _recursion(
    x: Array, y: Array, weights: Array, biases: Array, activation: str, depth: int, block: int
) -> Kernels:
    expect = EXPECTATIONS[activation]

    def layer(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
        nngp, ntk, one, other = carry
        values, slopes = expect(nngp, one, other)
        nngp = weights * values + biases
        one, other = (weights * expect(own, own, own)[0] + biases for own in (one, other))
        return (nngp, nngp + weights * slopes * ntk, one, other), None

    def variances(points: Array) -> Array:
        return weights * jnp.sum(points**2, axis=1) / points.shape[1] + biases

    of_y = variances(y)

    def row(point: tuple[Array, Array]) -> tuple[Array, Array]:
        first = weights * matmul(y, point[0]) / y.shape[1] + biases
        return lax.scan(layer, (first, first, point[1], of_y), length=depth)[0][:2]

    # Blocks of one size where they can be: what is left over would be a second program.
    number = math.ceil(len(x) / block)
    return Kernels(*lax.map(row, (x, variances(x)), batch_size=math.ceil(len(x) / number)))
