r"""Spectral densities by stochastic Lanczos quadrature, and what follows from them.

For a random starting vector $v$ of unit length, the eigenvalues $\theta_j$ of the tridiagonal matrix and the
squared first entries $\omega_j$ of its eigenvectors are a Gauss quadrature of the spectral measure that $v$
sees. Its mean over $v$ is the distribution of all $n$ eigenvalues.
"""

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import lanczos, vectors
from jaxtheory.landscape.spectrum.estimates import Estimate, jackknife, standard_error
from jaxtheory.landscape.spectrum.lanczos import LanczosState

Smoothing = Literal["gaussian", "lorentzian", "box"]

KERNELS = {
    "gaussian": lambda x: jnp.exp(-(x**2) / 2) / jnp.sqrt(2 * jnp.pi),
    "lorentzian": lambda x: 1 / (jnp.pi * (1 + x**2)),
    "box": lambda x: jnp.where(jnp.abs(x) <= 1, 0.5, 0.0),
}
"""Smoothing kernels of width 1, each with the integral 1."""

REACH = 5.0
"""How many widths the grid goes beyond the outermost nodes."""

NEGLIGIBLE = 1e-6
"""The weight below which a node does not widen the grid."""


@record
class SpectralDensity:
    """A smoothed density of eigenvalues with its standard error, and the quadrature that it was made from."""

    grid: Float[Array, " points"]
    """The points at which the density is given, in the units of eigenvalues."""
    density: Float[Array, " points"]
    """The density of one eigenvalue, whose integral is 1."""
    standard_error: Float[Array, " points"]
    """The standard error of the density over the probes; NaN for a single probe."""
    nodes: Float[Array, "probes steps"]
    """The nodes of the quadrature of each probe, rising."""
    weights: Float[Array, "probes steps"]
    """The weights of the nodes, of sum 1 for each probe."""
    dimension: int = static()
    """The number of eigenvalues."""


def density(
    operator: Operator,
    key: RandomKey,
    *,
    probes: int = 10,
    steps: int = 40,
    smoothing: Smoothing = "gaussian",
    width: RealScalar | None = None,
    points: int = 512,
    grid: Real[AnyArray, " points"] | None = None,
    reorthogonalize: bool = True,
) -> SpectralDensity:
    r"""Estimate the density of a symmetric operator's eigenvalues by stochastic Lanczos quadrature.

    It is $\phi(t) = \frac1p \sum_{i=1}^p \sum_{j=1}^m \omega_{ij} \, k_w(t - \theta_{ij})$, with the nodes
    and weights of $m$ Lanczos steps from each of $p$ random vectors of signs, and a kernel $k_w$ of width
    $w$. To store the steps and resume them, drive `density_init` and `density_step`, and end with
    `density_result`.

    Args:
        operator: The operator.
        key: The random key of the probes; the first of many probes are those of fewer.
        probes: The number $p$ of random vectors, at least 1; all are multiplied together in each step.
        steps: The number $m$ of Lanczos steps, from 1 to the operator's dimension.
        smoothing: The kernel: `"gaussian"`, `"lorentzian"` or `"box"`.
        width: The width $w$ in the units of eigenvalues: the standard deviation of the Gaussian, half the
            width of the others at half their height; by default a hundredth of the range of the nodes.
        points: The number of points of the grid, at least 2.
        grid: The points at which the density is given; by default equally spaced ones from five widths below
            the least node to five widths above the largest.
        reorthogonalize: Whether each Lanczos vector is made orthogonal to all before, which takes the memory
            of `probes * steps` vectors. Without it, eigenvalues that are found early appear as several nodes,
            which share their weight.

    Returns:
        The density, its standard error over the probes, and the quadrature.

    Raises:
        TypeError: If a number is not a whole number, or the operator is none.
        ValueError: If a number is out of range: there are at most as many steps as dimensions.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> halves = curvature.Matrix(jnp.diag(jnp.repeat(jnp.array([0.0, 1.0]), 50)))
        >>> found = spectrum.density(halves, jax.random.key(0), probes=4, steps=2)
        >>> bool(jnp.allclose(found.nodes, jnp.array([0.0, 1.0]), atol=1e-5))
        True
        >>> bool(jnp.all(jnp.abs(found.weights - 0.5) < 1e-5))
        True

    References:
        Golub and Meurant, Matrices, moments and quadrature with applications, 2010; Lin, Saad and Yang,
        Approximating spectral densities of large matrices, 2016; Ghorbani, Krishnan and Xiao, An
        investigation into neural net optimization via Hessian eigenvalue density, 2019.
    """
    state = density_init(operator, key, probes=probes, steps=steps, reorthogonalize=reorthogonalize)
    options = {"smoothing": smoothing, "width": width, "points": points, "grid": grid}
    _check_options(**options)
    return density_result(lanczos.advance(operator, state), **options)


def density_init(
    operator: Operator, key: RandomKey, *, probes: int = 10, steps: int = 40, reorthogonalize: bool = True
) -> LanczosState:
    """Return the state of a density before its first step.

    Args:
        operator: The operator.
        key: The random key of the probes.
        probes: The number of random vectors, at least 1.
        steps: The number of Lanczos steps that will be taken, from 1 to the operator's dimension.
        reorthogonalize: Whether each Lanczos vector is made orthogonal to all before.

    Returns:
        The state, a pytree of arrays that can be stored.

    Raises:
        TypeError: If a number is not a whole number, or the operator is none.
        ValueError: If a number is out of range: there are at most as many steps as dimensions.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> state = spectrum.density_init(
        ...     curvature.Matrix(jnp.eye(9)), jax.random.key(0), probes=4, steps=2
        ... )
        >>> state.diagonal.shape, int(state.step)
        ((4, 2), 0)
    """
    vectors.checked(operator)
    checks.random_key("key", key)
    return _init(
        operator,
        key,
        probes=checks.count("probes", probes),
        steps=vectors.steps_within("steps", steps, operator),
        reorthogonalize=checks.flag("reorthogonalize", reorthogonalize),
    )


@partial(jax.jit, static_argnames=("probes", "steps", "reorthogonalize"))
def _init(
    operator: Operator, key: RandomKey, *, probes: int, steps: int, reorthogonalize: bool
) -> LanczosState:
    """The state before the first step, in one compiled program."""
    signs = vectors.draw(operator, key, jnp.arange(probes), kind="signs")
    return lanczos.start(operator, signs, steps, reorthogonalize=reorthogonalize)


def density_step(operator: Operator, state: LanczosState, *, steps: int = 1) -> LanczosState:
    """Take Lanczos steps for all probes of a density: one block product each.

    Under `jit` with `donate_argnums=1` the state is updated in place. Steps beyond those that were planned
    are not taken.

    Args:
        operator: The operator that the state was made for.
        state: The state before.
        steps: The number of steps, at least 1.

    Returns:
        The state after.

    Raises:
        TypeError: If `steps` is not a whole number, or the operator is none.
        ValueError: If `steps` is less than 1, or the operator has another dimension than the state.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> ones = curvature.Matrix(jnp.eye(9))
        >>> state = spectrum.density_init(ones, jax.random.key(0), probes=4, steps=2)
        >>> state = spectrum.density_step(ones, state)
        >>> int(state.step), bool(jnp.allclose(state.diagonal[:, 0], 1))
        (1, True)
    """
    vectors.checked(operator)
    if operator.dimension != state.dimension:
        raise ValueError(
            f"operator has dimension {operator.dimension}: take one of dimension {state.dimension}, that of "
            "the state"
        )
    return lanczos.advance(operator, state, steps=checks.count("steps", steps))


def density_result(
    state: LanczosState,
    *,
    smoothing: Smoothing = "gaussian",
    width: RealScalar | None = None,
    points: int = 512,
    grid: Real[AnyArray, " points"] | None = None,
) -> SpectralDensity:
    """Return the density that the Lanczos steps taken so far give.

    Args:
        state: The state, as `density_step` returns it.
        smoothing: The kernel: `"gaussian"`, `"lorentzian"` or `"box"`.
        width: The width in the units of eigenvalues: the standard deviation of the Gaussian, half the width
            of the others at half their height; by default a hundredth of the range of the nodes.
        points: The number of points of the grid, at least 2.
        grid: The points at which the density is given; by default equally spaced ones from five widths below
            the least node to five widths above the largest.

    Returns:
        The density, its standard error over the probes, and the quadrature.

    Raises:
        TypeError: If `points` is not a whole number.
        ValueError: If an option is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> matrix = curvature.Matrix(jnp.diag(jnp.arange(9.0)))
        >>> state = spectrum.density_init(matrix, jax.random.key(0), probes=4, steps=8)
        >>> found = spectrum.density_result(spectrum.density_step(matrix, state, steps=8))
        >>> float(jnp.trapezoid(found.density, found.grid))
        1.00
    """
    _check_options(smoothing=smoothing, width=width, points=points, grid=grid)
    return _result(state, width, grid, smoothing=smoothing, points=points)


def _check_options(*, smoothing: Any, width: Any, points: Any, grid: Any) -> None:
    """Refuses options of the smoothing that mean nothing."""
    checks.one_of("smoothing", smoothing, tuple(KERNELS))
    checks.count("points", points, least=2)
    if width is not None:
        checks.axes("width", width)
        checks.positive("width", width)
    if grid is not None:
        checks.axes("grid", as_array("grid", grid), "points")


@partial(jax.jit, static_argnames=("smoothing", "points"))
def _result(state: LanczosState, width: Any, grid: Any, *, smoothing: str, points: int) -> SpectralDensity:
    """The density, in one compiled program."""
    nodes, rotations = jnp.linalg.eigh(lanczos.tridiagonal(state))
    weights = rotations[:, 0] ** 2
    found = SpectralDensity(nodes[0], nodes[0], nodes[0], nodes, weights, dimension=state.dimension)
    counted = weights > NEGLIGIBLE
    low, high = (
        jnp.min(nodes, where=counted, initial=jnp.inf),
        jnp.max(nodes, where=counted, initial=-jnp.inf),
    )
    if width is None:
        largest = jnp.maximum(jnp.abs(low), jnp.abs(high))
        width = jnp.maximum((high - low) / 100, jnp.finfo(nodes.dtype).eps * largest)
        width = jnp.where(width > 0, width, 1)
    width = jnp.asarray(width, nodes.dtype)
    if grid is None:
        grid = jnp.linspace(low - REACH * width, high + REACH * width, points, dtype=nodes.dtype)
    grid = jnp.asarray(grid, nodes.dtype)

    def of_probe(nodes: Array, weights: Array) -> Array:
        return KERNELS[smoothing]((grid[:, None] - nodes) / width) @ weights / width

    curves = jax.vmap(of_probe)(nodes, weights)
    return replace(found, grid=grid, density=jnp.mean(curves, 0), standard_error=standard_error(curves))


def negative_share(
    density: SpectralDensity, *, threshold: RealScalar = 0.0, weighted: bool = False
) -> Estimate:
    r"""Return the share of negative curvature, of the eigenvalues or of their absolute sum.

    It is the share of eigenvalues below $-t$, or with `weighted` that of their absolute values,
    $\sum_{\lambda_i < -t} |\lambda_i| / \sum_i |\lambda_i|$, which is indifferent to whether the many
    eigenvalues near zero are a little above or below it.

    Args:
        density: The density, of which nodes and weights are used.
        threshold: The threshold $t \ge 0$ in the units of eigenvalues.
        weighted: Whether eigenvalues count by their absolute value.

    Returns:
        The share, from 0 to 1, with its standard error over the probes.

    Raises:
        ValueError: If the threshold is negative.
        TypeError: If `weighted` is not a truth value.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> saddle = curvature.Matrix(jnp.diag(jnp.array([-1.0, 1.0, 1.0, 1.0])))
        >>> found = spectrum.density(saddle, jax.random.key(0), probes=4, steps=2)
        >>> float(spectrum.negative_share(found).value)
        0.25

    References:
        Alain, Le Roux and Manzagol, Negative eigenvalues of the Hessian in deep neural networks, 2019.
    """
    checks.nonnegative("threshold", threshold)
    weighted = checks.flag("weighted", weighted)

    def share(nodes: Array, weights: Array) -> Array:
        sizes = weights * jnp.abs(nodes) if weighted else weights
        return jnp.sum(jnp.where(nodes < -jnp.asarray(threshold), sizes, 0)) / jnp.sum(sizes)

    return jackknife(share, density.nodes, density.weights)


def effective_rank(density: SpectralDensity) -> Estimate:
    r"""Return the effective rank, $\exp(-\sum_i p_i \log p_i)$ with $p_i = |\lambda_i| / \sum_j |\lambda_j|$.

    It is the number of equal eigenvalues that would have the same entropy; of a matrix of zeros it is NaN.

    Args:
        density: The density, of which nodes and weights are used.

    Returns:
        The effective rank, from 1 to the dimension, with its standard error over the probes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> flat = curvature.Matrix(jnp.diag(jnp.array([2.0, 2.0, 2.0, 0.0])))
        >>> found = spectrum.density(flat, jax.random.key(0), probes=4, steps=2)
        >>> float(spectrum.effective_rank(found).value)
        3.00

    References:
        Roy and Vetterli, The effective rank: a measure of effective dimensionality, 2007.
    """

    def rank(nodes: Array, weights: Array) -> Array:
        sizes = jnp.abs(nodes)
        total = jnp.sum(weights * sizes)
        shares = sizes / total
        entropy = -jnp.sum(
            weights * shares * jnp.where(shares > 0, jnp.log(jnp.where(shares > 0, shares, 1)), 0)
        )
        return density.dimension * jnp.exp(entropy)

    return jackknife(rank, density.nodes, density.weights)
