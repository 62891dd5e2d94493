"""Warps of signals: translations, dilations, and any other displacement of their samples in time.

Conventions: signals are `(..., N)`, displacements `(..., N)` in samples. Leading axes broadcast. A signal
between its samples is the cubic spline through them; a translation of a periodic one is exact.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import interpolation
from jaxtheory.harmonic.interpolation import Border

Signals = Real[AnyArray, "*#batch N"]
Amount = Real[AnyArray, "*#batch"] | float | int | np.floating | np.integer


def warp_signal(x: Signals, displacement: Signals, *, boundary: Border = "periodic") -> Float[Array, "... N"]:
    r"""Move the samples of a signal: $L_\tau x(u) = x(u - \tau(u))$.

    The signal between its samples is the cubic spline through them, $x(u) = \sum_k c_k \beta^3(u - k)$.
    Differentiable in both arguments.

    Args:
        x: The signals.
        displacement: The displacement $\tau$, in samples.
        boundary: How the signal is continued beyond its ends: `"periodic"`, or `"reflect"` about the
            outermost samples, which are not repeated.

    Returns:
        The warped signals.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If signal and displacement differ in length, or a signal of one sample is to be reflected.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> deformation.warp_signal(jnp.arange(4.0), jnp.ones(4)).round(4)
        Array([3., 0., 1., 2.], dtype=float32)

    References:
        Michael Unser, "Splines: a perfect fit for signal and image processing", 1999.
    """
    _, back = real_arrays(x=x)
    (x, displacement), _ = real_arrays(x=x, displacement=displacement)
    _check_signal(x, boundary)
    checks.axes("displacement", displacement, "...", "N", sizes=x.shape[-1:])
    return back(_warp_signal(x, displacement, boundary))


def _check_signal(x: Array, boundary: str) -> None:
    checks.axes("x", x, "...", "N")
    checks.one_of("boundary", boundary, ("periodic", "reflect"))
    if boundary == "reflect" and x.shape[-1] < 2:
        raise ValueError(f"x has signals of {x.shape[-1]} samples: take at least 2 to reflect them")


@partial(jax.jit, static_argnums=2)
def _warp_signal(x: Array, displacement: Array, boundary: Border) -> Array:
    coefficients = interpolation.spline_coefficients(x, boundary, axes=1)
    return interpolation.displaced(coefficients, displacement[..., None, :], boundary, axes=1)


def translate_signal(x: Signals, shift: Amount) -> Float[Array, "... N"]:
    r"""Translate a periodic signal exactly: $\hat{y}(\omega) = e^{-i \omega c} \hat{x}(\omega)$.

    An integer shift is `numpy.roll`; a fractional one is trigonometric interpolation, in which the highest
    frequency of an even length is a cosine.

    Args:
        x: The signals.
        shift: The shift $c$ in samples.

    Returns:
        The translated signals, $x(u - c)$.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If the signals have no axis.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> deformation.translate_signal(jnp.arange(4.0), 1.0).round(4)
        Array([3., 0., 1., 2.], dtype=float32)
    """
    _, back = real_arrays(x=x)
    (x, shift), _ = real_arrays(x=x, shift=shift)
    _check_signal(x, "periodic")
    return back(_translate_signal(x, shift))


@jax.jit
def _translate_signal(x: Array, shift: Array) -> Array:
    return interpolation.translated(x, shift[..., None], axes=1)


def dilate_signal(x: Signals, amount: Amount, *, boundary: Border = "periodic") -> Float[Array, "... N"]:
    r"""Dilate a signal about its middle $c$: $x(c + (1 - \epsilon)(u - c))$.

    A wave of frequency $\omega$ becomes one of frequency $(1 - \epsilon) \omega$.

    Args:
        x: The signals.
        amount: The amount $\epsilon$, below 1, negative to shrink.
        boundary: How the signal is continued beyond its ends, as in `warp_signal`.

    Returns:
        The dilated signals.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If the signals have no axis, or a signal of one sample is to be reflected.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> deformation.dilate_signal(jnp.arange(5.0), 0.5, boundary="reflect")[2]
        Array(2., dtype=float32)
    """
    _, back = real_arrays(x=x)
    (x, amount), _ = real_arrays(x=x, amount=amount)
    _check_signal(x, boundary)
    times = jnp.asarray(np.arange(x.shape[-1]) - (x.shape[-1] - 1) / 2, x.dtype)
    return back(_warp_signal(x, amount[..., None] * times, boundary))
