r"""What coherence guarantees: sparsities up to which codes are unique and found, and how far off they are.

Conventions: all arguments are numbers, or arrays that broadcast; a negative one is a `ValueError`, a complex
one a `TypeError`. $\mu$ is the mutual coherence, $\epsilon$ a norm of noise, and $s$ the number of entries of
a code; for a convolutional dictionary it is that of the fullest stripe.

References:
    Donoho and Elad, Optimally sparse representation in general (nonorthogonal) dictionaries via l1
    minimization, 2003.
    Tropp, Greed is good: algorithmic results for sparse approximation, 2004.
    Donoho, Elad and Temlyakov, Stable recovery of sparse overcomplete representations in the presence of
    noise, 2006.
    Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import Reals


def _numbers(**arguments: Any) -> tuple[list[Array], Callable[[Any], Any]]:
    """Real numbers of 0 or more, in one dtype."""
    for name, value in arguments.items():
        checks.nonnegative(name, value)
    return real_arrays(**arguments)


def uniqueness_sparsity(mu: Reals) -> Float[Array, "..."]:
    r"""Return the sparsity below which codes are the sparsest of their signal: $(1 + 1 / \mu) / 2$.

    Without noise orthogonal matching pursuit and basis pursuit find them.

    Args:
        mu: The mutual coherence $\mu$.

    Returns:
        The bound, which the number of entries must stay strictly below.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.uniqueness_sparsity(0.25)
        Array(2.5, dtype=float32)
    """
    (mu,), back = _numbers(mu=mu)
    return back((1 + 1 / mu) / 2)


def thresholding_sparsity(
    mu: Reals, smallest: Reals, largest: Reals, noise: Reals = 0.0
) -> Float[Array, "..."]:
    r"""Return the sparsity below which thresholding finds the support.

    $(1 + \Gamma_{\min} / (\mu \Gamma_{\max})) / 2 - \epsilon / (\mu \Gamma_{\max})$.

    Args:
        mu: The mutual coherence $\mu$.
        smallest: The smallest absolute value $\Gamma_{\min}$ of a code's entry.
        largest: The largest absolute value $\Gamma_{\max}$ of a code's entry.
        noise: The largest absolute inner product $\epsilon$ of an atom with the noise, or the noise's norm.

    Returns:
        The bound, which the number of entries must stay strictly below.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.thresholding_sparsity(0.125, 1.0, 2.0)
        Array(2.5, dtype=float32)
    """
    numbers, back = _numbers(mu=mu, smallest=smallest, largest=largest, noise=noise)
    mu, smallest, largest, noise = numbers
    return back(0.5 + (smallest / 2 - noise) / (mu * largest))


def omp_sparsity(mu: Reals, smallest: Reals, noise: Reals) -> Float[Array, "..."]:
    r"""Return the sparsity up to which orthogonal matching pursuit finds the support.

    $(1 + 1 / \mu) / 2 - \epsilon / (\mu \Gamma_{\min})$.

    Args:
        mu: The mutual coherence $\mu$.
        smallest: The smallest absolute value $\Gamma_{\min}$ of a code's entry.
        noise: The noise's norm $\epsilon$, at which the pursuit stops.

    Returns:
        The bound on the number of entries.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.omp_sparsity(0.125, 1.0, 0.25)
        Array(2.5, dtype=float32)
    """
    (mu, smallest, noise), back = _numbers(mu=mu, smallest=smallest, noise=noise)
    return back(0.5 + (0.5 - noise / smallest) / mu)


def _error(entries: int, gain: int, mu: Reals, sparsity: Reals, noise: Reals) -> Array:
    """sqrt(gain eps^2 / (1 - mu (entries s - 1))), infinite where the denominator is not positive."""
    (mu, sparsity, noise), back = _numbers(mu=mu, sparsity=sparsity, noise=noise)
    room = 1 - mu * (entries * sparsity - 1)
    return back(jnp.where(room > 0, noise * jnp.sqrt(gain / jnp.where(room > 0, room, 1)), jnp.inf))


def omp_error(mu: Reals, sparsity: Reals, noise: Reals) -> Float[Array, "..."]:
    r"""Bound the error of orthogonal matching pursuit.

    $\|\hat\Gamma - \Gamma\|_2 \le \epsilon / \sqrt{1 - \mu (s - 1)}$.

    Args:
        mu: The mutual coherence $\mu$.
        sparsity: The number of entries $s$, at most `omp_sparsity`.
        noise: The noise's norm $\epsilon$.

    Returns:
        The bound, infinite where there is none.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.omp_error(0.25, 4, 0.5)
        Array(1., dtype=float32)
    """
    return _error(1, 1, mu, sparsity, noise)


def stability_error(mu: Reals, sparsity: Reals, noise: Reals) -> Float[Array, "..."]:
    r"""Bound how far apart two sparse codes of one signal are: $\le 2 \epsilon / \sqrt{1 - \mu (2 s - 1)}$.

    Both have at most $s$ entries, and both represent the signal up to $\epsilon$.

    Args:
        mu: The mutual coherence $\mu$.
        sparsity: The number of entries $s < (1 + 1 / \mu) / 2$.
        noise: The norm $\epsilon$ of what each leaves of the signal.

    Returns:
        The bound on the distance, infinite where there is none.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.stability_error(0.25, 2, 0.5)
        Array(2., dtype=float32)
    """
    return _error(2, 4, mu, sparsity, noise)


def basis_pursuit_error(mu: Reals, sparsity: Reals, noise: Reals) -> Float[Array, "..."]:
    r"""Bound the error of basis pursuit, $\min \|\Gamma\|_1$ within $\epsilon$ of the signal.

    $\|\hat\Gamma - \Gamma\|_2 \le 2 \epsilon / \sqrt{1 - \mu (4 s - 1)}$.

    Args:
        mu: The mutual coherence $\mu$.
        sparsity: The number of entries $s \le (1 + 1 / \mu) / 4$.
        noise: The norm $\epsilon$ of the noise, which is the constraint's.

    Returns:
        The bound on the distance, infinite where there is none.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.basis_pursuit_error(0.25, 1, 0.5)
        Array(2., dtype=float32)
    """
    return _error(4, 4, mu, sparsity, noise)
