r"""Sums of ridge functions as `init` and `apply`, and how large the norms are that bound their errors."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda t: jnp.maximum(t, 0),
    "step": lambda t: jnp.where(t > 0, 1, 0).astype(t.dtype),
    "sigmoid": jax.nn.sigmoid,
    "cos": jnp.cos,
}
"""The univariate functions that a sum may be of."""


@record
class RidgeSum:
    r"""A sum of ridge functions $c_0 + \sum_j c_j \, \sigma(\xi_j \cdot x - b_j)$."""

    directions: Float[AnyArray, "terms inputs"]
    r"""The directions $\xi_j$, of any length."""
    offsets: Float[AnyArray, " terms"]
    """The offsets $b_j$."""
    coefficients: Float[AnyArray, " terms"]
    """The coefficients $c_j$."""
    constant: Float[AnyArray, ""]
    """The constant $c_0$."""
    activation: str = static()
    r"""The name of $\sigma$."""


@record
class MomentResult:
    """An integral by Monte Carlo."""

    value: Float[Array, ""]
    """The mean of the samples."""
    standard_error: Float[Array, ""]
    """The standard error of the mean."""


def init(
    key: RandomKey,
    inputs: int,
    *,
    terms: int,
    activation: str = "relu",
    radius: float | int = 1.0,
) -> RidgeSum:
    r"""Draw ridge functions of uniform directions of unit length and of offsets that cut a ball.

    Args:
        key: The random key.
        inputs: The dimension.
        terms: The number of ridge functions.
        activation: The univariate function: "relu", "step", "sigmoid" or "cos".
        radius: The radius $r > 0$ of the ball: offsets are uniform on $[-r, r]$.

    Returns:
        The sum; its coefficients are drawn from $N(0, 1 / m)$ for $m$ terms, and the constant is zero.

    Raises:
        TypeError: If a number is not a whole number, or `key` is not a random key.
        ValueError: If a number is out of range, or the activation has another name.

    Example:
        >>> init(jax.random.key(0), 3, terms=5).directions.shape
        (5, 3)
    """
    checks.random_key("key", key)
    inputs, terms = checks.count("inputs", inputs), checks.count("terms", terms)
    checks.one_of("activation", activation, tuple(ACTIVATIONS))
    checks.positive("radius", radius)
    of_directions, of_offsets, of_coefficients = jax.random.split(key, 3)
    directions = jax.random.normal(of_directions, (terms, inputs))
    return RidgeSum(
        directions / jnp.linalg.norm(directions, axis=1, keepdims=True),
        jax.random.uniform(of_offsets, (terms,), minval=-radius, maxval=radius),
        jax.random.normal(of_coefficients, (terms,)) / terms**0.5,
        jnp.zeros(()),
        activation=activation,
    )


def features(params: RidgeSum, x: Real[AnyArray, "... inputs"]) -> Float[Array, "... terms"]:
    r"""Return the ridge functions of a sum one by one, $\sigma(\xi_j \cdot x - b_j)$.

    Args:
        params: The sum.
        x: The points.

    Returns:
        The values.

    Raises:
        TypeError: If `x` is not an array of real numbers.
        ValueError: If the points have another dimension than the directions.

    Example:
        >>> params = RidgeSum(jnp.eye(2), jnp.ones(2), jnp.ones(2), jnp.zeros(()), activation="relu")
        >>> features(params, jnp.array([3.0, 0.5]))
        Array([2., 0.], dtype=float32)
    """
    (params, x), back = real_arrays(params=params, x=x)
    checks.axes("x", x, "...", "inputs", sizes=params.directions.shape[-1:])
    values = ACTIVATIONS[params.activation](matmul(x, params.directions.T) - params.offsets)
    return back(values)


def apply(params: RidgeSum, x: Real[AnyArray, "... inputs"]) -> Float[Array, "..."]:
    r"""Return the values of a sum of ridge functions, $c_0 + \sum_j c_j \, \sigma(\xi_j \cdot x - b_j)$.

    Args:
        params: The sum.
        x: The points.

    Returns:
        The values.

    Raises:
        TypeError: If `x` is not an array of real numbers.
        ValueError: If the points have another dimension than the directions.

    Example:
        >>> params = RidgeSum(jnp.eye(2), jnp.ones(2), jnp.array([2.0, 1.0]), jnp.ones(()), activation="relu")
        >>> apply(params, jnp.array([3.0, 0.5]))
        Array(5., dtype=float32)
    """
    (params, x), back = real_arrays(params=params, x=x)
    return back(params.constant + matmul(features(params, x), params.coefficients))


def path_norm(params: RidgeSum) -> Float[Array, ""]:
    r"""Return the path norm $\sum_j |c_j| (\|\xi_j\|_2 + |b_j|)$ of a sum of ReLUs.

    It bounds the Barron norm of the function from above, and is one for a function that other parameters may
    express with less.

    Args:
        params: The sum, of ReLUs.

    Returns:
        The norm; the constant does not count.

    Raises:
        ValueError: If the sum is of another activation.

    Example:
        >>> path_norm(RidgeSum(3 * jnp.eye(2), jnp.ones(2), jnp.ones(2), jnp.ones(()), activation="relu"))
        Array(8., dtype=float32)

    References:
        E, Ma and Wu, The Barron space and the flow-induced function spaces for neural network models, 2022.
    """
    (params,), back = real_arrays(params=params)
    checks.one_of("activation", params.activation, ("relu",))
    lengths = jnp.linalg.norm(params.directions, axis=-1) + jnp.abs(params.offsets)
    return back(jnp.sum(jnp.abs(params.coefficients) * lengths))


@partial(jax.jit, static_argnames=("transform", "inputs", "samples"))
def spectral_moment(
    transform: Callable[[Array], Complex[Array, " samples"] | Float[Array, " samples"]],
    key: RandomKey,
    *,
    inputs: int,
    scale: RealScalar = 1.0,
    samples: int = 10_000,
) -> MomentResult:
    r"""Estimate Barron's constant $C_f = \int |\omega| |\hat f(\omega)| \, d\omega$ of a Fourier transform.

    Here $f(x) = \int e^{i \omega \cdot x} \hat f(\omega) \, d\omega$. Frequencies are drawn from
    $N(0, s^2 I)$ and weighted by the density's inverse: the variance is finite if $\hat f$ falls off faster
    than the density's square root.

    Args:
        transform: The function from frequencies `(samples, inputs)` to the values of $\hat f$.
        key: The random key.
        inputs: The dimension.
        scale: The standard deviation $s > 0$ of the frequencies that are drawn.
        samples: The number of frequencies, at least 2.

    Returns:
        The estimate with its standard error. For functions on a ball of radius $r$, $n$ sigmoidal ridge
        functions have a squared error of at most $(2 r C_f)^2 / n$.

    Raises:
        TypeError: If a number is not a whole number, or `key` is not a random key.
        ValueError: If a number is out of range.

    Example:
        >>> def gaussian(w):
        ...     return jnp.exp(-jnp.sum(w**2, -1) / 2) / (2 * jnp.pi) ** (w.shape[-1] / 2)
        >>> round(float(spectral_moment(gaussian, jax.random.key(0), inputs=1).value), 1)
        0.8

    References:
        Barron, Universal approximation bounds for superpositions of a sigmoidal function, 1993.
    """
    checks.random_key("key", key)
    inputs, samples = checks.count("inputs", inputs), checks.count("samples", samples, least=2)
    checks.positive("scale", scale)
    drawn = jax.random.normal(key, (samples, inputs))
    frequencies = scale * drawn
    log_density = -jnp.sum(drawn**2, axis=1) / 2 - inputs * jnp.log(scale * jnp.sqrt(2 * jnp.pi))
    sizes = jnp.abs(transform(frequencies)) * jnp.linalg.norm(frequencies, axis=1)
    weighted = sizes * jnp.exp(-log_density)
    return MomentResult(jnp.mean(weighted), jnp.std(weighted, ddof=1) / samples**0.5)
