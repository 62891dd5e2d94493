"""How sums of ridge functions are found: greedily from a dictionary, direction by direction, or at random."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from jaxtheory.approximation.ridge.sums import RidgeSum, features
from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar


@record
class GreedyResult:
    """What the orthogonal greedy algorithm has chosen."""

    chosen: Int[Array, " steps"]
    """The numbers of the atoms, in the order in which they were chosen."""
    codes: Float[Array, " atoms"]
    """The coefficients of all atoms, zero for those that were not chosen."""
    squared_errors: Float[Array, " errors"]
    """The mean squared errors before the first step and after each."""


@record
class PursuitResult:
    """What projection pursuit has found."""

    params: RidgeSum
    """The sum of ReLUs; those of one direction lie together."""
    squared_errors: Float[Array, " errors"]
    """The mean squared errors before the first direction and after each."""


def greedy(
    dictionary: Real[AnyArray, "atoms points"], target: Real[AnyArray, " points"], *, steps: int
) -> GreedyResult:
    r"""Approximate a function by the orthogonal greedy algorithm, from a dictionary of functions.

    Each step takes the atom with the largest $|\langle r, \varphi \rangle| / \|\varphi\|$ and projects the
    function on all that were taken. If $f = \sum_j c_j \varphi_j$ with atoms of unit norm, then
    $\|f - f_n\|^2 \le (\sum_j |c_j|)^2 / (n + 1)$.

    Args:
        dictionary: The values of the atoms at the points; dead ones, of norm zero, are never taken.
        target: The values of the function.
        steps: The number of steps, at most the number of atoms and that of points.

    Returns:
        The atoms chosen, their coefficients, and the errors on the way. Where nothing is left to explain, the
        steps that remain choose atoms at the level of rounding.

    Raises:
        TypeError: If an argument is not an array of real numbers, or `steps` is not a whole number.
        ValueError: If the shapes do not fit, or `steps` is out of range.

    Example:
        >>> found = greedy(jnp.eye(3), jnp.array([1.0, 3.0, 2.0]), steps=2)
        >>> found.chosen.tolist(), [round(float(error), 2) for error in found.squared_errors]
        ([1, 2], [4.67, 1.67, 0.33])

    References:
        DeVore and Temlyakov, Some remarks on greedy algorithms, 1996. Barron, Cohen, Dahmen and DeVore,
        Approximation and learning by greedy algorithms, 2008.
    """
    (dictionary, target), back = real_arrays(dictionary=dictionary, target=target)
    checks.axes("dictionary", dictionary, "atoms", "points")
    atoms, points = dictionary.shape
    checks.axes("target", target, "points", sizes=(points,))
    steps = checks.count("steps", steps, most=min(atoms, points))
    return back(_greedy(dictionary, target, steps=steps))


@partial(jax.jit, static_argnames=("steps",))
def _greedy(dictionary: Array, target: Array, *, steps: int) -> GreedyResult:
    atoms, points = dictionary.shape
    norms = jnp.linalg.norm(dictionary, axis=1)
    alive = norms > 0
    inverse = jnp.where(alive, 1 / jnp.where(alive, norms, 1), 0)

    def step(carry: tuple[Array, ...], place: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        residual, basis, left = carry
        score = jnp.where(left, jnp.abs(matmul(dictionary, residual)) * inverse, -1)
        chosen = jnp.argmax(score)
        # Twice, for a basis that is orthogonal to rounding.
        direction = dictionary[chosen] * inverse[chosen]
        for _ in range(2):
            direction = direction - matmul(matmul(basis, direction), basis)
        length = jnp.linalg.norm(direction)
        new = length > points * jnp.finfo(direction.dtype).eps
        direction = jnp.where(new, direction / jnp.where(new, length, 1), 0)
        residual = residual - jnp.dot(direction, residual, precision="highest") * direction
        carry = residual, basis.at[place].set(direction), left.at[chosen].set(False)
        return carry, (chosen, jnp.mean(residual**2))

    start = target, jnp.zeros((steps, points), target.dtype), alive
    (residual, basis, _), (chosen, errors) = jax.lax.scan(step, start, jnp.arange(steps))
    taken = dictionary[chosen] * inverse[chosen, None]
    # In the basis, atoms are triangular; a direction of zero, that of an atom in the others' span, gets none.
    triangle = matmul(basis, taken.T)
    flat = jnp.all(basis == 0, axis=1)
    triangle = jnp.triu(triangle) + jnp.diag(jnp.where(flat, 1, 0).astype(target.dtype))
    solved = jax.scipy.linalg.solve_triangular(triangle, matmul(basis, target - residual), lower=False)
    codes = jnp.zeros(atoms, target.dtype).at[chosen].set(solved * inverse[chosen])
    return GreedyResult(chosen, codes, jnp.concatenate([jnp.mean(target**2)[None], errors]))


def random_features(
    params: RidgeSum,
    x: Real[AnyArray, "points inputs"],
    y: Real[AnyArray, " points"],
    *,
    penalty: RealScalar = 1e-6,
) -> RidgeSum:
    r"""Fit the coefficients of a sum to values at points, by ridge regression; directions and offsets stay.

    It minimizes $\frac1N \sum_i (y_i - f(x_i))^2 + \lambda s \|c\|_2^2$ with $s$ the mean square of the
    centered ridge functions; the constant is not penalized.

    Args:
        params: The sum, as `init` draws it.
        x: The points.
        y: The values.
        penalty: The relative penalty $\lambda > 0$.

    Returns:
        The sum with other coefficients and another constant.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not fit, or the penalty is not positive.

    Example:
        >>> from jaxtheory.approximation.ridge import apply, init
        >>> x = jnp.linspace(-1, 1, 50)[:, None]
        >>> params = random_features(init(jax.random.key(0), 1, terms=30), x, jnp.abs(x[:, 0]))
        >>> bool(jnp.mean((apply(params, x) - jnp.abs(x[:, 0])) ** 2) < 1e-3)
        True

    References:
        Rahimi and Recht, Random features for large-scale kernel machines, 2007.
    """
    checks.positive("penalty", penalty)
    (params, x, y, penalty), back = real_arrays(params=params, x=x, y=y, penalty=penalty)
    checks.axes("x", x, "points", "inputs", sizes=(None, *params.directions.shape[-1:]))
    checks.axes("y", y, "points", sizes=x.shape[:1])
    values = features(params, x)
    coefficients, constant = _regression(values, y, penalty)
    return back(replace(params, coefficients=coefficients, constant=constant))


def projection_pursuit(
    x: Real[AnyArray, "points inputs"],
    y: Real[AnyArray, " points"],
    key: RandomKey,
    *,
    stages: int,
    knots: int = 8,
    candidates: int = 64,
    steps: int = 30,
) -> PursuitResult:
    r"""Approximate values at points by projection pursuit, one direction after the other.

    Each stage seeks the direction $\xi$ whose best piecewise linear profile $g(\xi \cdot x)$ explains most of
    what is left: the best of random ones, improved by gradient steps on the sphere, each taken only if it
    lowers the error. The profile is then subtracted.

    Args:
        x: The points; profiles have equal knots on the interval of their largest length.
        y: The values.
        key: The random key.
        stages: The number of directions.
        knots: The number of ReLUs of a profile.
        candidates: The number of random directions of each stage.
        steps: The number of gradient steps of each stage, which may be 0.

    Returns:
        The sum of `stages * knots` ReLUs, and the errors on the way, which do not grow beyond rounding.

    Raises:
        TypeError: If an argument is not an array of real numbers, a number is not a whole number, or `key` is
            not a random key.
        ValueError: If the shapes do not fit, or a number is out of range.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> found = projection_pursuit(x, jnp.abs(x[:, 0] + x[:, 1]), jax.random.key(1), stages=1)
        >>> bool(found.squared_errors[1] < 0.1 * found.squared_errors[0])
        True

    References:
        Friedman and Stuetzle, Projection pursuit regression, 1981.
    """
    checks.random_key("key", key)
    (x, y), back = real_arrays(x=x, y=y)
    checks.axes("x", x, "points", "inputs")
    checks.axes("y", y, "points", sizes=x.shape[:1])
    stages, knots = checks.count("stages", stages), checks.count("knots", knots)
    candidates, steps = checks.count("candidates", candidates), checks.count("steps", steps, least=0)
    numbers = {"stages": stages, "knots": knots, "candidates": candidates, "steps": steps}
    return back(_pursued(x, y, key, **numbers))


@partial(jax.jit, static_argnames=("stages", "knots", "candidates", "steps"))
def _pursued(
    x: Array, y: Array, key: RandomKey, *, stages: int, knots: int, candidates: int, steps: int
) -> PursuitResult:
    radius = jnp.max(jnp.linalg.norm(x, axis=1))
    offsets = radius * jnp.linspace(-1, 1, knots, endpoint=False, dtype=x.dtype)

    def profile(direction: Array, residual: Array) -> tuple[Array, Array, Array]:
        values = jnp.maximum(matmul(x, direction)[:, None] - offsets, 0)
        coefficients, constant = _regression(values, residual, 1e-6)
        return coefficients, constant, residual - constant - matmul(values, coefficients)

    def error(direction: Array, residual: Array) -> Array:
        return jnp.mean(profile(_unit(direction), residual)[2] ** 2)

    def stage(residual: Array, key: Array) -> tuple[Array, tuple[Array, ...]]:
        drawn = _unit(jax.random.normal(key, (candidates, x.shape[1]), x.dtype))
        errors = jax.lax.map(lambda one: error(one, residual), drawn)
        best = jnp.argmin(errors)

        def improve(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
            direction, least, rate = carry
            slope = jax.grad(error)(direction, residual)
            moved = _unit(direction - rate * _unit(slope))
            found = error(moved, residual)
            better = found < least
            carry = jnp.where(better, moved, direction), jnp.where(better, found, least)
            return (*carry, jnp.where(better, 1.5 * rate, 0.5 * rate)), None

        start = drawn[best], errors[best], jnp.asarray(0.3, x.dtype)
        direction = jax.lax.scan(improve, start, length=steps)[0][0]
        coefficients, constant, left = profile(direction, residual)
        return left, (direction, coefficients, constant, jnp.mean(left**2))

    _, found = jax.lax.scan(stage, y, jax.random.split(key, stages))
    directions, coefficients, constants, errors = found
    params = RidgeSum(
        jnp.repeat(directions, knots, axis=0),
        jnp.tile(offsets, stages),
        coefficients.reshape(-1),
        jnp.sum(constants),
        activation="relu",
    )
    return PursuitResult(params, jnp.concatenate([jnp.mean(y**2)[None], errors]))


def _unit(v: Array) -> Array:
    """Vectors of unit length; zero stays."""
    length = jnp.linalg.norm(v, axis=-1, keepdims=True)
    return v / jnp.where(length > 0, length, 1)


def _regression(values: Array, y: Array, penalty: Array | float) -> tuple[Array, Array]:
    """Coefficients and constant of a ridge regression, its penalty relative to the columns' variance."""
    means, mean = jnp.mean(values, axis=0), jnp.mean(y)
    centered = values - means
    gram = matmul(centered.T, centered) / len(y)
    size = jnp.trace(gram) / len(gram)
    weighted = gram + penalty * jnp.where(size > 0, size, 1) * jnp.eye(len(gram), dtype=y.dtype)
    right = matmul(centered.T, y - mean) / len(y)
    coefficients = jax.scipy.linalg.solve(weighted, right, assume_a="pos")
    return coefficients, mean - jnp.dot(means, coefficients, precision="highest")
