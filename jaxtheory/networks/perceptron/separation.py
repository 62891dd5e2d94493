"""Whether a hyperplane separates two classes: one that does, or a proof that there is none."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Real

from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray
from jaxtheory.networks import rationals
from jaxtheory.networks.perceptron.rule import signs_of

EXACT = 64
"""The number of points and of dimensions up to which whole numbers are decided exactly."""
WHOLE = 2**53
"""Up to this size, double precision holds all whole numbers."""
DENSE = 200_000
"""The number of entries beyond which the interior point method is faster than the simplex method."""
ROUNDING = 8 * float(np.finfo(float).eps)
"""The share of a sum of absolute values below which double precision does not tell its sign."""


@dataclass(frozen=True, eq=False)
class Certificate:
    r"""A convex combination of the examples that proves that no hyperplane separates the classes.

    $\sum_i \beta_i y_i (x_i, 1) = 0$ with $\beta_i \ge 0$ and $\sum_i \beta_i = 1$: the convex hulls of the
    classes have a point in common. A hyperplane with $y_i (w \cdot x_i + b) > 0$ for all would make the sum
    $\sum_i \beta_i y_i (w \cdot x_i + b)$ positive, but it is zero.
    """

    coefficients: tuple[Fraction, ...] | Float[np.ndarray, " n"]
    r"""The coefficients $\beta_i$: rational numbers where the certificate is exact."""
    residual: Fraction | float
    """The largest size of an entry of the sum; zero, as a rational number, where it is exact."""

    @property
    def exact(self) -> bool:
        """Whether the coefficients are rational numbers and the sum is zero: a proof without rounding."""
        return isinstance(self.residual, Fraction)


@dataclass(frozen=True, eq=False)
class Separation:
    """A separating hyperplane, or the certificate that there is none."""

    separable: bool
    """Whether a hyperplane has all examples strictly on their sides."""
    weights: Float[np.ndarray, " features"]
    """Its weights, the largest of size 1; zero where there is none."""
    bias: float
    """Its bias."""
    margin: float
    """The Euclidean distance of the nearest example from it; zero where there is none."""
    certificate: Certificate | None
    """The certificate, where there is no hyperplane."""


def separate(x: Real[AnyArray, "n features"], y: Int[AnyArray, " n"]) -> Separation:
    r"""Find a hyperplane that separates two classes, or a certificate that there is none.

    Linear programming: $\max_{w, b} \min_i y_i (w \cdot x_i + b)$ over $|w_j| \le 1$, whose dual variables
    are the certificate where the maximum is zero. For whole numbers, up to 64 examples in 64 dimensions, the
    decision is made in rational numbers; beyond that in double precision, where the certificate comes with
    its residual. The hyperplane is that of the largest distance in the norm $|x|_1$, not in the
    Euclidean one, whose margin is at most $\sqrt d$ times as large.

    Args:
        x: The examples, one per row.
        y: The class of each example, -1 and 1 or 0 and 1; there is at least one example of each.

    Returns:
        The hyperplane or the certificate.

    Raises:
        TypeError: If the examples are complex, or the classes are not whole numbers.
        ValueError: If shapes do not match, an example is not finite, or the classes are not two.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import perceptron
        >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> perceptron.separate(x, np.array([0, 0, 0, 1])).margin
        0.353...
        >>> exclusive_or = perceptron.separate(x, np.array([0, 1, 1, 0]))
        >>> exclusive_or.separable, [str(one) for one in exclusive_or.certificate.coefficients]
        (False, ['1/4', '1/4', '1/4', '1/4'])

    References:
        Paul Gordan, "Ueber die Auflösung linearer Gleichungen mit reellen Coefficienten", 1873.
        Qi Huangfu and Julian Hall, "Parallelizing the dual revised simplex method", 2018.
    """
    x = np.asarray(as_array("x", x))
    if np.iscomplexobj(x):
        raise TypeError(f"x is complex ({x.dtype}): take real numbers, as its real part")
    signs = np.asarray(signs_of(x, y))
    if abs(signs.sum()) == len(signs):
        raise ValueError("y holds one class only: take at least one example of each of the two")
    x = x.astype(np.float64) if np.issubdtype(x.dtype, np.floating) or x.dtype == bool else x
    if not np.isfinite(x).all():
        raise ValueError("x holds numbers that are not finite: take finite ones")
    middle = x.mean(0)
    scale = float(np.abs(x - middle).max()) or 1.0
    centered = (x - middle) / scale
    rows = signs[:, None] * np.column_stack([centered, np.ones(len(x))])
    _, plane, shares = widest(rows, free=(x.shape[1],))
    weights = plane[:-1] / (np.abs(plane[:-1]).max(initial=0) or 1.0)
    if max(x.shape) <= EXACT and np.array_equal(x, np.rint(x)) and np.abs(x).max() <= WHOLE:
        return _exactly(x, signs, weights, shares)
    high, low = _ends(centered, signs, weights)
    if high - low > ROUNDING * x.shape[1] * np.abs(weights).sum():
        bias = -(middle @ weights + scale * (high + low) / 2)
        return _separated(weights, bias, scale * (high - low) / 2)
    coefficients = np.maximum(shares, 0) / np.maximum(shares, 0).sum()
    sums = (coefficients * signs) @ np.column_stack([x, np.ones(len(x))])
    return _inseparable(x, Certificate(coefficients, float(np.abs(sums).max())))


def widest(
    rows: Real[np.ndarray, "n columns"], *, free: tuple[int, ...] = ()
) -> tuple[float, Float[np.ndarray, " columns"], Float[np.ndarray, " n"]]:
    r"""Solve $\max_a \min_i r_i \cdot a$ over $|a_j| \le 1$ by HiGHS, to a vertex.

    Args:
        rows: The rows $r_i$.
        free: The columns whose coefficients are not bounded.

    Returns:
        The maximum, the coefficients $a$, and the dual variables: at least 0 up to rounding and of sum 1;
        where the maximum is zero, so is the sum of the rows with these as weights.

    Raises:
        ArithmeticError: If HiGHS finds no solution.
    """
    from scipy.optimize import linprog

    n, columns = rows.shape
    bounds = [(None, None) if column in free else (-1, 1) for column in range(columns)]
    found = linprog(
        np.append(np.zeros(columns), -1.0),
        A_ub=np.column_stack([-rows, np.ones(n)]),
        b_ub=np.zeros(n),
        bounds=[*bounds, (None, None)],
        method="highs-ipm" if rows.size > DENSE else "highs-ds",
    )
    if found.status != 0:
        raise ArithmeticError(f"HiGHS does not solve the {n} rows of {columns} columns: {found.message}")
    return float(found.x[-1]), found.x[:-1], -found.ineqlin.marginals


def exact_weights(rows: Int[np.ndarray, "n columns"], shares: Float[np.ndarray, " n"]) -> list[Fraction]:
    """Return nonnegative weights of sum 1 with which whole rows sum to zero, on the support of a guess.

    Args:
        rows: The rows, of whole numbers.
        shares: Weights in floating point that nearly do, from a vertex of the polytope of all weights.

    Returns:
        The weights in rational numbers, which were multiplied out; an empty list where the guess does not
        lead to any.
    """
    support = np.flatnonzero(shares > 1e-12)
    matrix = np.concatenate([rows[support].T, np.ones((1, len(support)), rows.dtype)])
    target = np.zeros(len(matrix), np.int64)
    target[-1] = 1
    found = rationals.solve(matrix, target)
    if not found or min(found) < 0:
        return []
    weights = [Fraction(0)] * len(rows)
    for place, weight in zip(support.tolist(), found):
        weights[place] = weight
    return weights


def _exactly(x: np.ndarray, signs: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> Separation:
    """The decision in rational numbers, for whole numbers."""
    whole = np.array([[Fraction(int(entry)) for entry in row] for row in x], object).reshape(x.shape)
    high, low = _ends(whole, signs, np.array([Fraction(one) for one in weights.tolist()], object))
    if high > low:
        return _separated(weights, -(high + low) / 2, (high - low) / 2)
    ones = np.ones((len(x), 1), np.int64)
    rows = signs[:, None] * np.concatenate([x.astype(np.int64), ones], axis=1)
    found = exact_weights(rows, shares)
    if not found:
        # Double precision has misled: from the start in whole numbers.
        target = np.append(np.zeros(rows.shape[1], np.int64), 1)
        found, proof = rationals.nonnegative(np.concatenate([rows.T, ones.T]), target)
        if not found:
            exact = [-one / max(map(abs, proof[:-2])) for one in proof[:-2]]
            high, low = _ends(whole, signs, np.array(exact, object))
            return _separated(np.array(exact, float), -(high + low) / 2, (high - low) / 2)
    sums = [sum(weight * entry for weight, entry in zip(found, column)) for column in rows.T.tolist()]
    return _inseparable(x, Certificate(tuple(found), Fraction(max(map(abs, sums)))))


def _ends(x: np.ndarray, signs: np.ndarray, weights: np.ndarray) -> tuple[Any, Any]:
    """The least projection of the class 1 on the weights and the largest of the other."""
    places = x @ weights
    return places[signs > 0].min(), places[signs < 0].max()


def _separated(weights: np.ndarray, bias: Any, half: Any) -> Separation:
    """A hyperplane half-way between the classes."""
    return Separation(True, weights, float(bias), float(half) / float(np.linalg.norm(weights)), None)


def _inseparable(x: np.ndarray, certificate: Certificate) -> Separation:
    return Separation(False, np.zeros(x.shape[1]), 0.0, 0.0, certificate)
