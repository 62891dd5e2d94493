r"""Kernels of infinitely wide convolutional networks that average over all pixels before the output.

Conventions: those of `dense`, with $z_l = \frac{\sigma_w}{q \sqrt{n_{l-1}}} W_l * h_{l-1} + \sigma_b b_l$ for
square kernels of side $q$ and $n_l$ maps. The covariance of two images is kept for every pixel of the one
with every pixel of the other.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics.neural_kernel.dense import Kernels
from jaxtheory.statistics.neural_kernel.expectations import EXPECTATIONS

BOUNDARIES = {"zero": "constant", "periodic": "wrap"}
"""What NumPy calls the boundaries."""


@record
class Images:
    """Images with the variances of their first maps, one for each pixel."""

    pixels: Float[Array, "... H W C"]
    """The pixels."""
    variances: Float[Array, "... H W"]
    """The variances."""


def convolutional(
    x: Real[AnyArray, "n H W C"],
    y: Real[AnyArray, "m H W C"],
    depth: int,
    *,
    activation: Literal["relu", "erf"] = "relu",
    kernel_size: int = 3,
    boundary: Literal["zero", "periodic"] = "zero",
    weight_variance: RealScalar = 2.0,
    bias_variance: RealScalar = 0.0,
    block: int = 4,
) -> Kernels:
    r"""Return the kernels of an infinitely wide convolutional network with global average pooling.

    Between pixel $p$ of one image and pixel $r$ of the other, with $A$ the mean over the offsets $\delta$ of
    a kernel, $(A k)(p, r) = q^{-2} \sum_\delta k(p + \delta, r + \delta)$,

    $$K_1 = \sigma_w^2 A \frac{\langle x_p, y_r \rangle}{C} + \sigma_b^2, \qquad
    K_{l+1} = \sigma_w^2 A \, \mathbb{E}[\phi(u)\phi(v)] + \sigma_b^2, \qquad
    \Theta_{l+1} = K_{l+1} + \sigma_w^2 A (\mathbb{E}[\phi'(u)\phi'(v)] \, \Theta_l),$$

    and the output takes the means over all pairs of pixels in place of $A$. This is $(HW)^2$ numbers for each
    pair of images: 614,656 for digits of 28 x 28 pixels.

    Args:
        x: The images of the kernel's rows.
        y: The images of the kernel's columns.
        depth: The number of convolutions, at least 1, each followed by an activation.
        activation: The activation, `"relu"` or `"erf"`.
        kernel_size: The side of the kernels, an odd number.
        boundary: How images are continued beyond their border: `"zero"` or `"periodic"`.
        weight_variance: The variance $\sigma_w^2$ of weights, times the number of inputs to a unit; positive.
        bias_variance: The variance $\sigma_b^2$ of biases, at least 0.
        block: The number of images of `y` that are handled at once with one of `x`, at least 1.

    Returns:
        The kernels `nngp` and `ntk`, each (n, m).

    Raises:
        TypeError: If images are complex or not an array of numbers, or a size is not a whole number.
        ValueError: If shapes do not match, or an option is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import neural_kernel
        >>> x = jnp.ones((1, 4, 4, 1))
        >>> neural_kernel.convolutional(x, x, 2, boundary="periodic").ntk.round(4).tolist()
        [[6.0]]

    References:
        Sanjeev Arora, Simon Du, Wei Hu, Zhiyuan Li, Ruslan Salakhutdinov and Ruosong Wang, "On exact
        computation with an infinitely wide neural net", 2019.
    """
    (x, y, *variances), back = real_arrays(
        x=x, y=y, weight_variance=weight_variance, bias_variance=bias_variance
    )
    checks.axes("x", x, "n", "H", "W", "C")
    checks.axes("y", y, "m", "H", "W", "C", sizes=(None, *x.shape[1:]))
    for name, images in (("x", x), ("y", y)):
        if 0 in images.shape:
            raise ValueError(f"{name} has the shape {images.shape}: take at least one image with pixels")
    depth, block = checks.count("depth", depth), checks.count("block", block)
    checks.one_of("activation", activation, tuple(EXPECTATIONS))
    checks.one_of("boundary", boundary, tuple(BOUNDARIES))
    if checks.count("kernel_size", kernel_size) % 2 == 0:
        raise ValueError(f"kernel_size is {kernel_size}: take an odd number")
    checks.positive("weight_variance", variances[0], one=True)
    checks.nonnegative("bias_variance", variances[1], one=True)
    facts = (activation, depth, kernel_size, BOUNDARIES[boundary], block)
    return back(_kernels(x, y, *variances, facts))


@partial(jax.jit, static_argnames="facts")
def _kernels(x: Array, y: Array, weights: Array, biases: Array, facts: tuple) -> Kernels:
    activation, depth, side, mode, block = facts
    expect = EXPECTATIONS[activation]
    channels = x.shape[-1]
    averaged = partial(_averaged, side=side, mode=mode)

    def of_variances(own: Array) -> Array:
        """The variances of one image's maps, a layer further."""
        return weights * averaged(own, ((0,), (1,))) + biases

    def of_pairs(values: Array) -> Array:
        return averaged(values, ((0, 2), (1, 3)))

    def apart(one: Array, other: Array) -> tuple[Array, Array]:
        """The variances of two images along the axes of their pairs of pixels."""
        return one[:, :, None, None], other[None, None]

    def layer(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
        nngp, ntk, one, other = carry
        values, slopes = expect(nngp, *apart(one, other))
        nngp = weights * of_pairs(values) + biases
        one, other = (of_variances(expect(own, own, own)[0]) for own in (one, other))
        return (nngp, nngp + weights * of_pairs(slopes * ntk), one, other), None

    def pair(one: Images, other: Images) -> tuple[Array, Array]:
        products = jnp.einsum("abc,dec->abde", one.pixels, other.pixels, precision="highest") / channels
        first = weights * of_pairs(products) + biases
        start = (first, first, one.variances, other.variances)
        nngp, ntk, *last = lax.scan(layer, start, length=depth - 1)[0]
        values, slopes = expect(nngp, *apart(*last))
        nngp = weights * jnp.mean(values) + biases
        return nngp, nngp + weights * jnp.mean(slopes * ntk)

    def with_variances(images: Array) -> Images:
        return Images(images, jax.vmap(of_variances)(jnp.sum(images**2, axis=-1) / channels))

    columns = with_variances(y)

    def row(one: Images) -> tuple[Array, Array]:
        return lax.map(lambda other: pair(one, other), columns, batch_size=block)

    return Kernels(*lax.map(row, with_variances(x)))


def _averaged(values: Array, groups: Sequence[tuple[int, ...]], *, side: int, mode: str) -> Array:
    """The mean over the offsets of a kernel, where the axes of each group move together."""
    reach = side // 2
    for axes in groups:
        widths = [(reach, reach) if axis in axes else (0, 0) for axis in range(values.ndim)]
        padded = jnp.pad(values, widths, mode=mode)
        total = jnp.zeros_like(values)
        for offset in range(side):
            part = padded
            for axis in axes:
                part = lax.slice_in_dim(part, offset, offset + values.shape[axis], axis=axis)
            total = total + part
        values = total / side
    return values
