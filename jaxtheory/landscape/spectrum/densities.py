"""Densities of eigenvalues: as one call, and as `init`, `step` and `result`."""

from typing import Any

from jaxtyping import Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import lanczos, quadrature, vectors
from jaxtheory.landscape.spectrum.lanczos import LanczosState
from jaxtheory.landscape.spectrum.quadrature import Smoothing, SpectralDensity


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
    counts = _counts(operator, key, probes, steps, reorthogonalize)
    _check_options(smoothing=smoothing, width=width, points=points, grid=grid)
    return quadrature.find(operator, key, width, grid, smoothing=smoothing, points=points, **counts)


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
    return lanczos.start(operator, key, **_counts(operator, key, probes, steps, reorthogonalize))


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
    vectors.fitting(operator, state)
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
    return quadrature.smoothed(state, width, grid, smoothing=smoothing, points=points)


def _counts(operator: Any, key: Any, probes: Any, steps: Any, reorthogonalize: Any) -> dict[str, Any]:
    """The static options of the Lanczos steps, known to be allowed."""
    vectors.checked(operator)
    checks.random_key("key", key)
    return {
        "probes": checks.count("probes", probes),
        "steps": vectors.steps_within("steps", steps, operator),
        "reorthogonalize": checks.flag("reorthogonalize", reorthogonalize),
    }


def _check_options(*, smoothing: Any, width: Any, points: Any, grid: Any) -> None:
    """Refuses options of the smoothing that mean nothing."""
    checks.one_of("smoothing", smoothing, tuple(quadrature.KERNELS))
    checks.count("points", points, least=2)
    if width is not None:
        checks.axes("width", width)
        checks.positive("width", width)
    if grid is not None:
        checks.axes("grid", as_array("grid", grid), "points")
