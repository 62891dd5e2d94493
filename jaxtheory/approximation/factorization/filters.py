r"""Long filters as products of short ones, by the roots of their polynomials.

A filter $w_0, \dots, w_S$ is the polynomial $\sum_k w_k z^k$, and convolution is multiplication, so that its
roots, grouped, give short filters: real roots alone, complex ones with their conjugates. The order of the
roots decides whether rounding leaves anything of the filter; Leja's order does.
"""

import warnings

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray

TRIM = 1e-12
"""The part of the largest tap below which taps at the ends count as zero."""
ACCURATE = 1e-10
"""The relative residual above which a factorization warns."""


def factorize(
    taps: Real[AnyArray, " number"], s: int, *, trim: float | int = TRIM
) -> Float[np.ndarray, "factors short"]:
    r"""Factor a filter into short ones, $w = w^{(p)} * \dots * w^{(1)}$, by the roots of its polynomial.

    Roots are taken in Leja's order: the next one has the largest product of distances from those before.
    Every partial product has the sum of magnitudes of the filter. A filter of degree $S$ takes
    $p \le \lceil S / (s - 1) \rceil$ factors, as few as conjugate pairs allow. It is computed on the host, in
    double precision.

    Args:
        taps: The filter, at least `s + 1` taps in ascending order.
        s: The degree of the factors, at least 2.
        trim: The part of the largest tap below which taps at either end count as zero, from 0 to 1. Small
            end taps make roots of extreme size.

    Returns:
        The factors, in single precision for a filter in single precision or less, otherwise in double. Their
        product is shorter than the filter by upper taps that count as zero, and longer by zeros that fill
        the last factor.

    Raises:
        TypeError: If the filter is not an array of real numbers, or `s` is not a whole number.
        ValueError: If the filter is shorter than a factor, zero or not finite, or a number is out of range.

    Warns:
        RuntimeWarning: If the product misses the filter by more than 1e-10 of the largest tap; the text gives
            the residual and the remedy.

    Example:
        >>> factorize(np.array([6.0, 5.0, 1.0, 0.0]), 2)
        array([[6., 5., 1.]])

    References:
        Zhou, Universality of deep convolutional neural networks, 2020. Calvetti and Reichel, On the
        evaluation of polynomial coefficients, 2003.
    """
    filled = _known("taps", taps)
    s = checks.count("s", s, least=2)
    checks.within("trim", trim, 0, 1)
    if len(filled) <= s:
        raise ValueError(f"taps has {len(filled)} taps: take at least s + 1 = {s + 1}, those of one factor")
    kept = np.flatnonzero(np.abs(filled) > 0)
    kept = kept[np.abs(filled[kept]) >= trim * np.abs(filled).max()]
    first, last = kept[0], kept[-1]
    roots = np.concatenate([np.zeros(first), np.roots(filled[first : last + 1][::-1])])
    factors = _balanced(_grouped(_leja_order(roots), s), filled)
    error = residual(filled, factors)
    if error > ACCURATE:
        warnings.warn(
            f"the factors give the filter back to {error:.1e} of its largest tap only: raise trim, which is "
            f"{trim:g}, above the taps at its ends, or write it as a sum of filters",
            RuntimeWarning,
            stacklevel=2,
        )
    dtype = getattr(taps, "dtype", filled.dtype)
    single = jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits <= 32
    return factors.astype(np.float32) if single else factors


def residual(taps: Real[AnyArray, " number"], factors: Real[AnyArray, "factors short"]) -> float:
    r"""Return by how much a product of factors misses a filter, $\max |w - \prod w^{(k)}| / \max |w|$.

    Args:
        taps: The filter, its taps in ascending order.
        factors: The factors, in any order.

    Returns:
        The relative residual, computed in double precision.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes are others, a number is not finite, or the filter is zero.

    Example:
        >>> residual(np.array([6.0, 5.0, 1.0]), np.array([[2.0, 1.0], [3.0, 1.0]]))
        0.0
    """
    filled = _known("taps", taps)
    factors = as_array("factors", factors)
    checks.axes("factors", factors, "factors", "taps")
    product = np.ones(1)
    for factor in np.asarray(factors, float):
        product = np.convolve(product, factor)
    length = max(len(product), len(filled))
    missed = np.pad(product, (0, length - len(product))) - np.pad(filled, (0, length - len(filled)))
    return float(np.abs(missed).max() / np.abs(filled).max())


def _leja_order(roots: np.ndarray) -> list[np.ndarray]:
    """Roots in Leja's order, each as an array, with its conjugate where it is complex."""
    left, score, ordered = np.ones(len(roots), bool), np.abs(roots), []
    distance = np.zeros(len(roots))
    while left.any():
        first = int(np.argmax(np.where(left, score, -np.inf)))
        if roots[first].imag:
            atom = [first, int(np.argmax(left & (roots == np.conj(roots[first]))))]
            ordered.append(roots[atom])
        else:
            # Real roots come by twos, as they are grouped, so that those after them are chosen accordingly.
            among = left & (roots.imag == 0)
            among[first] = False
            atom = [first]
            if among.any():
                atom.append(int(np.argmax(np.where(among, distance + _far(roots, roots[[first]]), -np.inf))))
            ordered += [roots[[one]] for one in atom]
        left[atom] = False
        score = distance = distance + _far(roots, roots[atom])
    return ordered


def _far(roots: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The logarithm of each root's product of distances from chosen ones; equal roots are at a tiny one."""
    return np.log(np.maximum(np.abs(roots[:, None] - chosen), np.finfo(float).tiny)).sum(1)


def _grouped(ordered: list[np.ndarray], s: int) -> list[np.ndarray]:
    """As few monic factors of degree `s` and less as can be, of roots in their order where there is room."""
    pairs, singles = (sum(len(one) == size for one in ordered) for size in (2, 1))
    number = max(-(-pairs // (s // 2)), -(-(2 * pairs + singles) // s), 1)
    factors, left = [], list(ordered)
    for remaining in reversed(range(number)):
        factor, room = np.ones(1), s
        while (place := _next(left, room, remaining, s)) is not None:
            roots = left.pop(place)
            room -= len(roots)
            factor = np.convolve(factor, _real_factor(roots))
        factors.append(np.pad(factor, (0, room)))
    return factors


def _next(left: list[np.ndarray], room: int, remaining: int, s: int) -> int | None:
    """The place of the root that a factor takes next: the first, unless that leaves too little room."""
    pairs, roots = sum(len(one) == 2 for one in left), sum(map(len, left))

    def enough(taken: int, room: int) -> bool:
        fits = pairs - (taken == 2) <= room // 2 + remaining * (s // 2)
        return room >= 0 and fits and roots - taken <= room + remaining * s

    for place, one in enumerate(left):
        if enough(len(one), room - len(one)):
            return place
        # Rather than out of order, a factor is filled less, where the remaining ones hold all others.
        if enough(0, 0):
            return None
    return None


def _real_factor(roots: np.ndarray) -> np.ndarray:
    """The monic polynomial of a real root, or of a complex one and its conjugate."""
    if len(roots) == 1:
        return np.array([-roots[0].real, 1.0])
    return np.array([np.abs(roots[0]) ** 2, -2 * roots[0].real, 1.0])


def _balanced(factors: list[np.ndarray], filled: np.ndarray) -> np.ndarray:
    """Factors whose partial products have the sum of magnitudes of the filter; their product has its sign."""
    scale, product, balanced = np.abs(filled).sum(), np.ones(1), []
    for factor in factors:
        balanced.append(factor * (scale / np.abs(np.convolve(product, factor)).sum()))
        product = np.convolve(product, balanced[-1])
    length = min(len(product), len(filled))
    if product[:length] @ filled[:length] < 0:
        balanced[0] = -balanced[0]
    return np.stack(balanced)


def _known(name: str, taps: Real[AnyArray, " number"]) -> np.ndarray:
    """A filter in double precision, known to be one of finite real numbers."""
    found = as_array(name, taps)
    if np.iscomplexobj(found):
        raise TypeError(f"{name} is complex ({found.dtype}): take real numbers, as its real part")
    checks.axes(name, found, "taps")
    filled = np.asarray(found, float)
    if not np.isfinite(filled).all():
        raise ValueError(f"{name} holds {filled[~np.isfinite(filled)][0]}: take finite numbers")
    if not filled.any():
        raise ValueError(f"{name} is zero: take a filter with a nonzero tap")
    return filled
