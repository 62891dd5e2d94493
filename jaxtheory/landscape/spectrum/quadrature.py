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
from jaxtyping import Array, Float

from jaxtheory.core.records import record, static
from jaxtheory.core.types import RandomKey
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import lanczos
from jaxtheory.landscape.spectrum.estimates import standard_error
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


@partial(jax.jit, static_argnames=("probes", "steps", "reorthogonalize", "smoothing", "points"))
def find(
    operator: Operator,
    key: RandomKey,
    width: Any,
    grid: Any,
    *,
    probes: int,
    steps: int,
    reorthogonalize: bool,
    smoothing: str,
    points: int,
) -> SpectralDensity:
    """The density, in one program that keeps the Lanczos vectors once."""
    state = lanczos.start(operator, key, probes=probes, steps=steps, reorthogonalize=reorthogonalize)
    state = lanczos.advance(operator, state)
    return smoothed(state, width, grid, smoothing=smoothing, points=points)


@partial(jax.jit, static_argnames=("smoothing", "points"))
def smoothed(state: LanczosState, width: Any, grid: Any, *, smoothing: str, points: int) -> SpectralDensity:
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
