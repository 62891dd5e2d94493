"""Whitening: of signals by their covariance, and of natural images by a filter."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.sparse.signals import finite_rows, rows


@record
class Whitening:
    """An affine map that makes the features of signals uncorrelated, and the way back."""

    mean: Float[Array, " features"]
    """The mean of the signals."""
    matrix: Float[Array, "features components"]
    """What signals without their mean are multiplied by."""
    inverse: Float[Array, "components features"]
    """The matrix's pseudoinverse."""


def fit_whitening(
    signals: Real[AnyArray, "n features"],
    *,
    kind: Literal["pca", "zca"] = "zca",
    components: int | None = None,
    regularization: RealScalar = 0.0,
) -> Whitening:
    r"""Return the affine map that makes the features of these signals uncorrelated and of unit variance.

    With the covariance $C = V \Lambda V^T$, `"pca"` is $V (\Lambda + \epsilon)^{-1/2}$, whose features are
    the principal components, the largest first, and `"zca"` $V (\Lambda + \epsilon)^{-1/2} V^T$, of all such
    maps the one that changes the signals least. Directions in which the signals do not vary are mapped to
    zero. Signals with infinities or NaN are left out.

    Args:
        signals: The signals, at least two.
        kind: The map, `"pca"` or `"zca"`.
        components: The number of principal components to keep, from 1 to that of the features; by default
            all.
        regularization: The number $\epsilon \geq 0$ that is added to the variances.

    Returns:
        The map, for `whiten` and `unwhiten`.

    Raises:
        ValueError: If there are fewer than two signals, or an option is out of range.
        TypeError: If signals are complex, or `components` is not a whole number.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import whitening
        >>> signals = jax.random.normal(jax.random.key(0), (100, 3)) * jax.numpy.arange(1.0, 4)
        >>> white = whitening.whiten(whitening.fit_whitening(signals), signals)
        >>> (white.T @ white / 100).round(3) + 0.0
        Array([[1., 0., 0.],
               [0., 1., 0.],
               [0., 0., 1.]], dtype=float32)

    References:
        Bell and Sejnowski, The "independent components" of natural scenes are edge filters, 1997.
    """
    checks.one_of("kind", kind, ("pca", "zca"))
    checks.nonnegative("regularization", regularization, one=True)
    checks.axes("regularization", regularization)
    _, back = real_arrays(signals=signals)
    signals = rows("signals", signals)
    if len(signals) < 2:
        raise ValueError(f"signals has the shape {signals.shape}: take at least two, which have variances")
    features = signals.shape[1]
    components = features if components is None else checks.count("components", components, most=features)
    return back(_fitted(signals, regularization, kind=kind, components=components))


@partial(jax.jit, static_argnames=("kind", "components"))
def _fitted(signals: Array, regularization: Array, *, kind: str, components: int) -> Whitening:
    signals, finite = finite_rows(signals)
    count = jnp.maximum(jnp.sum(finite), 1)
    mean = jnp.sum(signals, axis=0) / count
    centered = jnp.where(finite[:, None], signals - mean, 0)
    variances, vectors = jnp.linalg.eigh(matmul(centered.T, centered) / count)
    variances, vectors = variances[::-1][:components], vectors[:, ::-1][:, :components]
    # Rounding leaves a direction without variance a little of it.
    known = variances > len(mean) * jnp.finfo(signals.dtype).eps * variances[0]
    scale = jnp.where(known, jnp.sqrt(jnp.where(known, variances, 1) + regularization), 1)
    scale = scale.astype(signals.dtype)
    back = vectors.T if kind == "zca" else jnp.eye(components, dtype=signals.dtype)
    return Whitening(
        mean,
        matmul(vectors * jnp.where(known, 1 / scale, 0), back),
        matmul(back.T, jnp.where(known, scale, 0)[:, None] * vectors.T),
    )


def whiten(transform: Whitening, signals: Real[AnyArray, "... features"]) -> Float[Array, "... components"]:
    """Return signals without the mean, multiplied by the map's matrix.

    Args:
        transform: The map that `fit_whitening` returned.
        signals: The signals.

    Returns:
        The whitened signals, with as many components as features for `"zca"`.

    Raises:
        ValueError: If the features do not match.
        TypeError: If signals are complex.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import whitening
        >>> signals = jnp.array([[1.0, 0.0], [5.0, 0.0]])
        >>> fitted = whitening.fit_whitening(signals, kind="pca", components=1)
        >>> whitening.whiten(fitted, signals)[:, 0] ** 2
        Array([1., 1.], dtype=float32)
    """
    (transform, signals), back = real_arrays(transform=transform, signals=signals)
    checks.axes("signals", signals, "...", "features", sizes=(len(transform.mean),))
    return back(matmul(signals - transform.mean, transform.matrix))


def unwhiten(transform: Whitening, signals: Real[AnyArray, "... components"]) -> Float[Array, "... features"]:
    """Return the signals that `whiten` maps to these, up to what it leaves out.

    Args:
        transform: The map that `fit_whitening` returned.
        signals: The whitened signals.

    Returns:
        The signals.

    Raises:
        ValueError: If the components do not match.
        TypeError: If signals are complex.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import whitening
        >>> signals = jnp.array([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0]])
        >>> fitted = whitening.fit_whitening(signals)
        >>> whitening.unwhiten(fitted, whitening.whiten(fitted, signals)).round(3) + 0.0
        Array([[1., 0.],
               [5., 0.],
               [0., 2.]], dtype=float32)
    """
    (transform, signals), back = real_arrays(transform=transform, signals=signals)
    checks.axes("signals", signals, "...", "components", sizes=(len(transform.inverse),))
    return back(matmul(signals, transform.inverse) + transform.mean)


def whiten_images(
    images: Real[AnyArray, "... H W C"], *, cutoff: RealScalar = 200 / 512
) -> Float[Array, "... H W C"]:
    r"""Filter images by $R(f) = f e^{-(f / f_0)^4}$, which whitens natural images up to their noise.

    Amplitudes of natural images fall about as $1/f$, which the ramp undoes; the rest is a low pass that
    leaves out the corners of the spectrum. The images count as periodic: leave out a border of some pixels
    afterwards, where opposite sides meet.

    Args:
        images: The images; each channel is filtered by itself.
        cutoff: The frequency $f_0 > 0$ in cycles per pixel; by default the paper's 200 cycles per picture of
            512 pixels.

    Returns:
        The filtered images, of mean zero; $f$ is in cycles per pixel, so scale them afterwards.

    Raises:
        ValueError: If there are fewer than three axes, or the cutoff is not positive.
        TypeError: If images are complex.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import whitening
        >>> wave = jnp.cos(2 * jnp.pi * jnp.arange(8) / 4)[None, :, None] * jnp.ones((8, 1, 1))
        >>> whitening.whiten_images(wave)[0, :2, 0].round(4) + 0.0
        Array([0.2114, 0.    ], dtype=float32)

    References:
        Olshausen and Field, Emergence of simple-cell receptive field properties by learning a sparse code for
        natural images, 1996.
    """
    checks.positive("cutoff", cutoff, one=True)
    (images, cutoff), back = real_arrays(images=images, cutoff=cutoff)
    checks.axes("images", images, "...", "H", "W", "C")
    checks.axes("cutoff", cutoff)
    H, W = shape = images.shape[-3:-1]
    f = np.hypot(np.fft.fftfreq(H)[:, None], np.fft.rfftfreq(W))[..., None].astype(images.dtype)
    spectrum = jnp.fft.rfft2(images, axes=(-3, -2)) * f * jnp.exp(-((f / cutoff) ** 4))
    return back(jnp.fft.irfft2(spectrum, s=shape, axes=(-3, -2)))
