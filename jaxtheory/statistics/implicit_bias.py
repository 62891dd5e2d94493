r"""The implicit bias of gradient descent on separable data: it turns to the maximum-margin separator.

Conventions: examples are rows of `features` with `labels` 0 and 1, which stand for the signs -1 and 1; with
$z_i = \pm x_i$, the margin of weights $w$ is $\min_i z_i \cdot w / |w|$. Separators pass through the origin:
a column of ones makes room for a bias. Labels under `jit` are traced and cannot be checked.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Integer, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics import labeled

STAY = 0.99
"""The share of the way to the border of the cone that a step of the interior point method goes at most."""


@record
class SeparatorResult:
    r"""A maximum-margin separator with its certificate, which both separable and other data have.

    Any unit vector has a margin of at most `bound`, and `direction` has `margin`: the largest margin lies
    between them. Where the data are not separable, `bound` is zero up to rounding.
    """

    direction: Float[Array, " features"]
    """The unit vector of the largest margin; of no use where the data are not separable."""
    margin: Float[Array, ""]
    """Its margin, in the units of the features; not above zero where the data are not separable."""
    bound: Float[Array, ""]
    r"""The norm $|\sum_i \beta_i z_i|$, which no margin exceeds."""
    coefficients: Float[Array, " n"]
    r"""The coefficients $\beta_i$, at least 0 and of sum 1; above zero at the support vectors."""
    residual: Float[Array, ""]
    r"""The KKT residual: the largest $|\min(\beta_i, z_i \cdot p - |p|^2)|$, where $p = \sum_i \beta_i z_i$
    and the longest $z_i$ is the unit of length."""
    separable: Bool[Array, ""]
    """Whether the margin is above zero by more than rounding."""
    steps: Int[Array, ""]
    """The number of steps taken."""
    converged: Bool[Array, ""]
    """Whether the tolerance was met."""


@record
class ProgressResult:
    """How far weights are on their way to the maximum-margin separator."""

    norm: Float[Array, "..."]
    """The norm of the weights."""
    margin: Float[Array, "..."]
    """Their margin, in the units of the features."""
    gap: Float[Array, "..."]
    """The margin of the direction that is compared with, minus theirs."""
    deviation: Float[Array, "..."]
    r"""The number $1 - \cos \theta$, with the angle $\theta$ between weights and direction."""
    log_loss: Float[Array, "..."]
    """The natural logarithm of the mean logistic loss, which stays finite where the loss underflows."""


def max_margin(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    *,
    tolerance: RealScalar | None = None,
    max_steps: int = 100,
) -> SeparatorResult:
    r"""Find the separator of the largest margin, or a proof that the data are not separable.

    $\max_{|w| = 1} \min_i z_i \cdot w = \min_\beta |\sum_i \beta_i z_i|$ over $\beta_i \ge 0$ with
    $\sum_i \beta_i = 1$: the distance of the origin from the convex hull of the $z_i$, which is zero where
    no half-space holds all of them (Gordan's theorem). It is found through the Gram matrix by the interior
    point method of Mehrotra, as $\min \frac12 (|\sum_i a_i z_i|^2 + (1 - \sum_i a_i)^2)$ over $a_i \ge 0$,
    which has the same solution up to a factor. The weights of a support vector machine with a hard margin
    are `direction / margin`, its dual variables `coefficients / margin**2`.

    Args:
        features: The examples, one per row; memory is that of their Gram matrix, $n^2$ numbers.
        labels: The class of each example, 0 or 1; there is at least one example of each.
        tolerance: The duality gap at which to stop, positive, where the longest example has length one.
            `None` is what the dtype can reach.
        max_steps: The largest number of steps, at least 1, each of one Cholesky factorization.

    Returns:
        The separator and its certificate.

    Raises:
        TypeError: If the features are complex or the labels are not whole numbers.
        ValueError: If shapes do not match, an option is out of range, or labels (where their values are
            known) are other than 0 and 1 or of one class only.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import implicit_bias
        >>> x = jnp.array([[1.0, 3.0], [-1.0, 9.0], [-2.0, 0.0]])
        >>> found = implicit_bias.max_margin(x, jnp.array([1, 0, 0]))
        >>> round(float(found.margin), 4), bool(found.separable)
        (1.0, True)
        >>> found = implicit_bias.max_margin(x, jnp.array([1, 0, 1]))
        >>> bool(found.separable), jnp.round(6 * found.coefficients).tolist()
        (False, [3.0, 1.0, 2.0])

    References:
        Bernhard Boser, Isabelle Guyon and Vladimir Vapnik, "A training algorithm for optimal margin
        classifiers", 1992.
        Sanjay Mehrotra, "On the implementation of a primal-dual interior point method", 1992.
    """
    (features, tolerance), back = real_arrays(optional=("tolerance",), features=features, tolerance=tolerance)
    labels = _binary(features, labels)
    if tolerance is None:
        tolerance = jnp.asarray(10 * float(jnp.finfo(features.dtype).eps), features.dtype)
    checks.positive("tolerance", tolerance, one=True)
    return back(_max_margin(features, labels, tolerance, checks.count("max_steps", max_steps)))


@jax.jit
def _max_margin(features: Array, labels: Array, tolerance: Array, max_steps: Array | int) -> SeparatorResult:
    rows = _signed(features, labels)
    unit = jnp.sqrt(jnp.max(jnp.sum(rows**2, axis=1)))
    rows = rows / jnp.where(unit > 0, unit, 1)
    a, steps, gap = _nonnegative(matmul(rows, rows.T) + 1, tolerance, max_steps)
    beta = a / jnp.sum(a)
    point = matmul(beta, rows)
    bound = jnp.linalg.norm(point)
    direction = point / jnp.where(bound > 0, bound, 1)
    margin = jnp.min(matmul(rows, direction))
    residual = jnp.max(jnp.abs(jnp.minimum(beta, matmul(rows, point) - bound**2)))
    rounding = features.shape[1] * jnp.finfo(features.dtype).eps
    return SeparatorResult(
        direction, unit * margin, unit * bound, beta, residual, margin > rounding, steps, gap <= tolerance
    )


def _nonnegative(matrix: Array, tolerance: Array, max_steps: Array | int) -> tuple[Array, Array, Array]:
    """Minimize a' H a / 2 - sum(a) over a >= 0: the minimum, the steps, and the gap that is left."""
    n, dtype = matrix.shape[0], matrix.dtype

    def length(values: Array, moves: Array) -> Array:
        ways = jnp.where(moves < 0, -values / jnp.where(moves < 0, moves, -1), jnp.inf)
        return jnp.minimum(1, STAY * jnp.min(ways))

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        a, slack, steps, _ = carry
        residual = matmul(matrix, a) - 1 - slack
        factor = jax.scipy.linalg.cho_factor(matrix + jnp.diag(slack / a), lower=True)

        def newton(products: Array) -> tuple[Array, Array]:
            moved = jax.scipy.linalg.cho_solve(factor, products / a - residual)
            return moved, (products - slack * moved) / a

        mean = jnp.mean(a * slack)
        ahead, behind = newton(-a * slack)
        way = jnp.minimum(length(a, ahead), length(slack, behind))
        center = (jnp.mean((a + way * ahead) * (slack + way * behind)) / mean) ** 3
        ahead, behind = newton(center * mean - a * slack - ahead * behind)
        way = jnp.minimum(length(a, ahead), length(slack, behind))
        a, slack = a + way * ahead, slack + way * behind
        left = jnp.sum(a * slack) + jnp.max(jnp.abs(matmul(matrix, a) - 1 - slack))
        return a, slack, steps + 1, left

    def goes_on(carry: tuple[Array, ...]) -> Array:
        return (carry[-1] > tolerance) & (carry[2] < max_steps)

    start = jnp.full(n, 1 / n, dtype), jnp.ones(n, dtype), jnp.zeros((), int), jnp.asarray(jnp.inf, dtype)
    a, _, steps, left = lax.while_loop(goes_on, step, start)
    return a, steps, left


def gradient_descent(
    weights: Real[AnyArray, " features"],
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    *,
    times: Integer[AnyArray, " times"],
    rate: RealScalar,
    normalized: bool = False,
) -> Float[Array, "times features"]:
    r"""Follow gradient descent on the mean logistic loss, $L(w) = \frac1n \sum_i \log(1 + e^{-z_i \cdot w})$.

    Each step adds $-\eta \nabla L$ to the weights, or $-\eta \nabla L / |\nabla L|$ if `normalized`. The
    direction of the gradient is $\sum_i q_i z_i$ with $q$ the softmax of $\log \sigma(-z_i \cdot w)$, which
    is defined when the gradient itself has underflowed. With fewer examples than features, all steps are
    taken in the coefficients $a$ of $w = w_0 + \sum_i a_i z_i$, through the Gram matrix.

    Args:
        weights: The weights $w_0$ at the start.
        features: The examples, one per row.
        labels: The class of each example, 0 or 1; there is at least one example of each.
        times: The numbers of steps after which weights are kept, at least 0 and not falling.
        rate: The step size $\eta$, positive; without `normalized`, the loss falls at every step below
            $8 n / \lambda$, with $\lambda$ the largest eigenvalue of the Gram matrix.
        normalized: Whether each step has the length $\eta$.

    Returns:
        The weights at these times.

    Raises:
        TypeError: If an argument is complex, labels or times are not whole numbers, or `normalized` is not a
            truth value.
        ValueError: If shapes do not match, the rate is not positive, times are negative or falling, or labels
            are other than 0 and 1 or of one class only.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import implicit_bias
        >>> x, labels = jnp.array([[1.0, 3.0], [-1.0, 9.0], [-2.0, 0.0]]), jnp.array([1, 0, 0])
        >>> kept = implicit_bias.gradient_descent(
        ...     jnp.zeros(2), x, labels, times=jnp.array([10, 1000]), rate=0.1
        ... )
        >>> [round(float(one[0] / jnp.linalg.norm(one)), 2) for one in kept]  # the separator is (1, 0)
        [0.97, 1.0]

    References:
        Daniel Soudry, Elad Hoffer, Mor Shpigel Nacson, Suriya Gunasekar and Nathan Srebro, "The implicit bias
        of gradient descent on separable data", 2018.
        Mor Shpigel Nacson, Jason Lee, Suriya Gunasekar, Pedro Savarese, Nathan Srebro and Daniel Soudry,
        "Convergence of gradient descent on separable data", 2019.
    """
    (weights, features, rate), back = real_arrays(weights=weights, features=features, rate=rate)
    labels = _binary(features, labels)
    checks.axes("weights", weights, "features", sizes=features.shape[1:])
    checks.positive("rate", rate, one=True)
    times = as_array("times", times)
    checks.axes("times", times, "times")
    if not jnp.issubdtype(times.dtype, jnp.integer):
        raise TypeError(f"times are {times.dtype}: take whole numbers of steps")
    if checks.known(times) and np.any(np.diff(np.asarray(times), prepend=0) < 0):
        raise ValueError(f"times are {np.asarray(times).tolist()}: take numbers from 0 that do not fall")
    normalized = checks.flag("normalized", normalized)
    return back(_descend(weights, features, labels, jnp.asarray(times), rate, normalized))


@partial(jax.jit, static_argnames="normalized")
def _descend(
    weights: Array, features: Array, labels: Array, times: Array, rate: Array, normalized: bool
) -> Array:
    rows = _signed(features, labels)
    n, p = rows.shape
    in_span = n < p
    matrix = matmul(rows, rows.T) if in_span else rows
    start = jnp.zeros(n, rows.dtype) if in_span else weights
    before = matmul(rows, weights) if in_span else jnp.zeros(n, rows.dtype)

    def step(_: Any, moved: Array) -> Array:
        margins = before + matmul(matrix, moved)
        if not normalized:
            push = jax.nn.sigmoid(-margins) / n
            return moved + rate * (push if in_span else matmul(push, rows))
        push = jax.nn.softmax(jax.nn.log_sigmoid(-margins))
        way = push if in_span else matmul(push, rows)
        norm = jnp.sqrt(jnp.vdot(way, matmul(matrix, way)) if in_span else jnp.sum(way**2))
        return moved + rate * way / norm

    def between(moved: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        moved = lax.fori_loop(*ends, step, moved)
        return moved, weights + matmul(moved, rows) if in_span else moved

    ends = jnp.concatenate([jnp.zeros(1, times.dtype), times[:-1]]), times
    return lax.scan(between, start, ends)[1]


def progress(
    weights: Real[AnyArray, "... features"],
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    direction: Real[AnyArray, " features"],
) -> ProgressResult:
    r"""Measure how far weights are from a direction, usually that of the largest margin.

    On separable data with the largest margin $\gamma$, gradient descent has norms that grow like
    $\log t / \gamma$, a loss that falls like $1 / t$, a gap that falls like $1 / \log t$ and deviations
    $1 - \cos\theta$ that fall like $1 / \log^2 t$ (Soudry et al. 2018).

    Args:
        weights: The weights, as `gradient_descent` keeps them; where they are zero, margin and deviation are
            NaN.
        features: The examples, one per row.
        labels: The class of each example, 0 or 1; there is at least one example of each.
        direction: The direction, of any length above zero, such as that of `max_margin`.

    Returns:
        Norm, margin, gap, deviation and loss of each.

    Raises:
        TypeError: If an argument is complex or the labels are not whole numbers.
        ValueError: If shapes do not match, or labels are other than 0 and 1 or of one class only.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import implicit_bias
        >>> x, labels = jnp.array([[1.0, 3.0], [-1.0, 9.0], [-2.0, 0.0]]), jnp.array([1, 0, 0])
        >>> found = implicit_bias.progress(jnp.array([2.0, 0.0]), x, labels, jnp.array([1.0, 0.0]))
        >>> float(found.norm), float(found.gap), float(found.deviation)
        (2.0, 0.0, 0.0)

    References:
        Daniel Soudry, Elad Hoffer, Mor Shpigel Nacson, Suriya Gunasekar and Nathan Srebro, "The implicit bias
        of gradient descent on separable data", 2018.
    """
    (weights, features, direction), back = real_arrays(
        weights=weights, features=features, direction=direction
    )
    labels = _binary(features, labels)
    checks.axes("weights", weights, "...", "features", sizes=features.shape[1:])
    checks.axes("direction", direction, "features", sizes=features.shape[1:])
    return back(_progress(weights, features, labels, direction))


@jax.jit
def _progress(weights: Array, features: Array, labels: Array, direction: Array) -> ProgressResult:
    rows = _signed(features, labels)
    direction = direction / jnp.linalg.norm(direction)
    margins = matmul(weights, rows.T)
    norm = jnp.linalg.norm(weights, axis=-1)
    margin = jnp.min(margins, axis=-1) / norm
    # As a squared distance, which does not cancel as 1 - cos would.
    deviation = jnp.sum((weights / norm[..., None] - direction) ** 2, axis=-1) / 2
    # log log(1 + u) with u = exp(-margin), whose own logarithm survives where u underflows.
    u = jnp.exp(-jnp.abs(margins))
    small = jnp.log1p(-u / 2) - margins
    large = jnp.log(jax.nn.softplus(-jnp.minimum(margins, 10)))
    logarithms = jnp.where(margins > 10, small, large)
    log_loss = jax.nn.logsumexp(logarithms, axis=-1) - jnp.log(rows.shape[0])
    return ProgressResult(norm, margin, jnp.min(matmul(rows, direction)) - margin, deviation, log_loss)


def _binary(features: Array, labels: Any) -> Array:
    """Labels of two classes that fit the features."""
    labels = labeled.whole_labels(labels)
    labeled.check_examples(features, labels, 2)
    labeled.class_counts(labels, 2)
    return jnp.asarray(labels)


def _signed(features: Array, labels: Array) -> Array:
    """The examples, those of class 0 with the other sign."""
    return jnp.where(labels[:, None] == 1, features, -features)
