r"""Priors of images, $R(x)$, that maximizers of units and inversions of codes share, and random shifts.

A prior is any function of one image with a nonnegative number as its value; those here are summed with
weights of one's own, as `lambda x: 0.1 * total_variation(x) + lp_norm(x, 6)`. A `jax.tree_util.Partial` of
such a function keeps its arrays out of the compiled program.

Conventions: images are `(..., H, W, C)`, and a prior has one value for each image.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul, squared_norm
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.kernels.fista.api import gram_fista
from jaxtheory.sparse import patches
from jaxtheory.sparse.patches import PatchSize

Images = Real[AnyArray, "... H W C"]
"""Images, channels last."""


def lp_norm(x: Images, p: RealScalar = 2.0) -> Float[Array, "..."]:
    r"""Return the power of an image's norm, $\sum_u |x_u|^p$ over pixels and channels.

    A large power, such as 6, leaves values alone that are small against 1 and keeps the others from growing.

    Args:
        x: The images, less the gray that costs nothing.
        p: The power $p \ge 1$.

    Returns:
        One value for each image. At a pixel of zero the derivative is zero for every power.

    Raises:
        ValueError: If the power is below 1, or `x` has fewer than three axes.
        TypeError: If an argument is complex or not an array of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import priors
        >>> priors.lp_norm(jnp.array([[[1.0], [-2.0]]]), 3)
        Array(9., dtype=float32)

    References:
        Aravindh Mahendran and Andrea Vedaldi, "Understanding deep image representations by inverting them",
        2015.
    """
    (x, power), back = real_arrays(x=x, p=p)
    checks.axes("x", x, "...", "H", "W", "C")
    checks.within("p", p, 1, math.inf, one=True)
    return back(jnp.sum(_powers(jnp.abs(x), power), axis=(-3, -2, -1)))


def total_variation(x: Images, exponent: RealScalar = 2.0) -> Float[Array, "..."]:
    r"""Return the total variation, $\sum_u ((x_{u + e_1} - x_u)^2 + (x_{u + e_2} - x_u)^2)^{\beta / 2}$.

    The sum goes over pixels and channels; differences across the border are zero. With $\beta = 1$ it is the
    total variation proper, which edges cost no more than slopes; $\beta = 2$ is the energy of the gradient,
    which edges cost more.

    Args:
        x: The images.
        exponent: The exponent $\beta \ge 1$.

    Returns:
        One value for each image. Where an image is flat the derivative is zero for every exponent.

    Raises:
        ValueError: If the exponent is below 1, or `x` has fewer than three axes.
        TypeError: If an argument is complex or not an array of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import priors
        >>> edge = jnp.array([[0.0, 3.0], [0.0, 3.0]])[..., None]
        >>> float(priors.total_variation(edge, 1)), float(priors.total_variation(edge, 2))
        (6.0, 18.0)

    References:
        Leonid Rudin, Stanley Osher and Emad Fatemi, "Nonlinear total variation based noise removal
        algorithms", 1992.
        Aravindh Mahendran and Andrea Vedaldi, "Understanding deep image representations by inverting them",
        2015.
    """
    (x, power), back = real_arrays(x=x, exponent=exponent)
    checks.axes("x", x, "...", "H", "W", "C")
    checks.within("exponent", exponent, 1, math.inf, one=True)
    down = jnp.diff(x, axis=-3, append=x[..., -1:, :, :])
    across = jnp.diff(x, axis=-2, append=x[..., :, -1:, :])
    return back(jnp.sum(_powers(down**2 + across**2, power / 2), axis=(-3, -2, -1)))


def patch_energy(
    dictionary: Real[AnyArray, "atoms hwC"],
    x: Images,
    patch_size: PatchSize,
    penalty: RealScalar,
    *,
    steps: int = 50,
) -> Float[Array, "..."]:
    r"""Return how badly few atoms of a dictionary explain the patches of an image.

    $\frac{1}{h w} \sum_p \min_z \frac12 \|p - z D\|^2 + \lambda \|z\|_1$ over all patches $p$, which overlap,
    without the means of their channels. The factor makes every pixel, which lies in $h w$ patches, count
    once. Codes come from a fixed number of steps, so that the value is that of the minimum or a little above.
    The derivative is that of the minimum, at which codes count as constant: in $x$ it is what they leave of
    the patches, put back.

    Args:
        dictionary: The atoms: patches without the means of their channels, such as those that
            `sparse.dictionary_learning` learns of images.
        x: The images.
        patch_size: The height and width of a patch, those of the atoms.
        penalty: The weight $\lambda \ge 0$ of the codes' absolute values.
        steps: The number of steps of FISTA that codes take, at least 1.

    Returns:
        One value for each image.

    Raises:
        ValueError: If patches of this size are not the dictionary's or do not fit, or a number is out of
            range.
        TypeError: If an argument is complex or not an array of numbers, or a count is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import priors
        >>> step = jnp.array([[-0.5, 0.5, -0.5, 0.5]])
        >>> upright = jnp.array([[0.0, 0.0, 1.0, 1.0]] * 4)[..., None]
        >>> lying = upright.swapaxes(0, 1)
        >>> bool(priors.patch_energy(step, upright, 2, 0.1) < priors.patch_energy(step, lying, 2, 0.1))
        True

    References:
        Michael Elad and Michal Aharon, "Image denoising via sparse and redundant representations over learned
        dictionaries", 2006.
    """
    (dictionary, x, weight), back = real_arrays(dictionary=dictionary, x=x, penalty=penalty)
    checks.nonnegative("penalty", penalty, one=True)
    steps = checks.count("steps", steps)
    cut = patches.extract(x, patch_size)
    pixels = cut.shape[-1] // x.shape[-1]
    checks.axes("dictionary", dictionary, "atoms", "features", sizes=(None, cut.shape[-1]))
    groups = cut.reshape(*cut.shape[:-1], pixels, x.shape[-1])
    centered = (groups - jnp.mean(groups, axis=-2, keepdims=True)).reshape(cut.shape)
    # The minimum has the derivative of its objective at fixed codes.
    fixed, signals = lax.stop_gradient((dictionary, centered))
    size = 1 / jnp.maximum(squared_norm(fixed), jnp.finfo(fixed.dtype).tiny)
    codes = gram_fista(
        matmul(fixed, fixed.T), matmul(signals, fixed.T), lax.stop_gradient(weight), size, steps=steps
    )
    left = jnp.sum((centered - matmul(codes, dictionary)) ** 2, axis=-1) / 2
    return back(jnp.sum(left + weight * jnp.sum(jnp.abs(codes), axis=-1), axis=(-2, -1)) / pixels)


def jitter(key: RandomKey, x: Images, pixels: int) -> Float[Array, "... H W C"]:
    """Shift images by a random whole number of pixels each way, what leaves on one side coming back opposite.

    A maximizer that must excite a unit wherever it is shifted holds no pattern that depends on the pixel.

    Args:
        key: The random key; all images are shifted alike.
        x: The images.
        pixels: The largest shift along height and along width, 0 or more; each shift up to it is as likely.

    Returns:
        The shifted images.

    Raises:
        ValueError: If `pixels` is negative, or `x` has fewer than three axes.
        TypeError: If `x` is complex or not an array of numbers, `pixels` is not a whole number, or `key` is
            not a random key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.inspection import priors
        >>> x = jnp.arange(9.0).reshape(3, 3, 1)
        >>> moved = priors.jitter(jax.random.key(0), x, 1)
        >>> bool((jnp.sort(moved.ravel()) == x.ravel()).all())
        True

    References:
        Chris Olah, Alexander Mordvintsev and Ludwig Schubert, "Feature visualization", 2017.
    """
    checks.random_key("key", key)
    (x,), back = real_arrays(x=x)
    checks.axes("x", x, "...", "H", "W", "C")
    return back(_jittered(key, x, checks.count("pixels", pixels, least=0)))


@partial(jax.jit, static_argnums=2)
def _jittered(key: RandomKey, x: Array, pixels: int) -> Array:
    down, across = jax.random.randint(key, (2,), -pixels, pixels + 1)
    return jnp.roll(x, (down, across), axis=(-3, -2))


def _powers(values: Array, power: Array) -> Array:
    """Powers of nonnegative numbers; at zero they are zero, and so is their derivative."""
    positive = values > 0
    return jnp.where(positive, jnp.where(positive, values, 1) ** power, 0)
