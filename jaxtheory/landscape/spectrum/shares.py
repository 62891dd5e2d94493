"""What follows from a spectral density: shares of its eigenvalues, and how many of them count."""

import jax.numpy as jnp
from jaxtyping import Array

from jaxtheory.core import checks
from jaxtheory.core.types import RealScalar
from jaxtheory.landscape.spectrum.estimates import Estimate, jackknife
from jaxtheory.landscape.spectrum.quadrature import SpectralDensity


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
