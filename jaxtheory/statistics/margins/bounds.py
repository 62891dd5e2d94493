"""The spectral complexity of a network, and the bound on its risk by margins."""

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics.margins.norms import LayerNorms

CONSTANT = 72
"""The constant of the complexity term: 2 times the Rademacher complexity (lemma 3.1 of Bartlett, Foster and
Telgarsky), which is 12 times an entropy integral from 1/n to √n that gives 3/2 ln n (Dudley's), of margins
that change twice as fast as logits."""


@record
class MarginBound:
    """A bound on the risk of a classifier, and the terms of which it is the sum."""

    value: Float[Array, ""]
    """The bound: it says nothing where it is 1 or more."""
    empirical: Float[Array, ""]
    """The share of training examples whose margin is at most the one asked for."""
    complexity: Float[Array, ""]
    """The term of the spectral complexity."""
    confidence: Float[Array, ""]
    """The term of the probability with which the bound may fail."""


def spectral_complexity(norms: LayerNorms, *, lipschitz: RealScalar = 1.0) -> Float[Array, "..."]:
    r"""Return the spectral complexity of a network.

    $R_A = \prod_i \rho_i \|A_i\|_\sigma \Big(\sum_i \big(\|A_i^T - M_i^T\|_{2,1} / \|A_i\|_\sigma\big)^{2/3}
    \Big)^{3/2}$: its Lipschitz constant, or an upper bound of it, times a correction that counts how many
    units the weights have moved.

    Args:
        norms: The norms of the layers, from `dense_norms` or of other layers from `spectral_norm` and
            `two_one_norm`; the spectral ones are positive.
        lipschitz: The product $\prod_i \rho_i$ of the Lipschitz constants of the nonlinearities, positive.

    Returns:
        The complexity.

    Raises:
        TypeError: If an argument is complex or not a number, or `norms` is not a `LayerNorms`.
        ValueError: If a number is out of range, where it is known.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import margins
        >>> norms = margins.LayerNorms(jnp.array([2.0, 3.0]), jnp.array([2.0, 3.0]), 10)
        >>> round(float(margins.spectral_complexity(norms)), 4)  # 2 * 3 * 2 ** 1.5
        16.9706

    References:
        Peter Bartlett, Dylan Foster and Matus Telgarsky, "Spectrally-normalized margin bounds for neural
        networks", 2017.
    """
    spectral, two_one, lipschitz, back = _checked(norms, lipschitz)
    return back(_complexity(spectral, two_one, lipschitz))


def bound(
    values: Real[AnyArray, " n"],
    norms: LayerNorms,
    data_norm: RealScalar,
    *,
    margin: RealScalar,
    delta: RealScalar = 0.05,
    lipschitz: RealScalar = 1.0,
) -> MarginBound:
    r"""Bound the risk of a network by its margins on n independent training examples.

    With probability $1 - \delta$ over the examples, for every network of this shape and all values of
    $\gamma$, the probability of an error on another example is at most the share of training margins up to
    $\gamma$ plus $\frac{8}{n^{3/2}} + \frac{72 \ln n \sqrt{\ln(2 W^2)}}{\gamma' n} B' R' + 3
    \sqrt{\frac{\ln(2/\delta')}{2n}}$. That follows from the covering number of Bartlett, Foster and
    Telgarsky (theorem 3.3, as printed) by Dudley's entropy integral and the Rademacher bound (lemma 3.1, with
    both of its events counted); it is their lemma A.8 as Graf et al. use it. The lemma is about norms
    and margins that are fixed before, and these are not: they are rounded to a grid, $B'$ to the next whole
    number above $\|X\|_F$, norms of the $L$ layers up to multiples of $1/L$, from which $R'$ is computed, and
    $\gamma'$ down to a power of two. Each point of the grid has its share of $\delta$: $1/(k (k + 1))$ for
    the k-th step of a norm, $\frac23 / ((|j| + 1)(|j| + 2))$ for $\gamma' = 2^j$; $\delta'$ is what is left.

    Args:
        values: The margins of the training examples, from `raw`.
        norms: The norms of the layers, from `dense_norms` or of other layers from `spectral_norm` and
            `two_one_norm`; their reference must not depend on the examples. The network has no biases, and
            nonlinearities that are 0 at 0.
        data_norm: The Euclidean norm $\|X\|_F$ of all training examples together, at least 0.
        margin: The margin $\gamma$, positive; as the bound holds for all of them, it may be chosen last.
        delta: The probability $\delta$ with which the bound may fail, between 0 and 1.
        lipschitz: The product of the Lipschitz constants of the nonlinearities, positive.

    Returns:
        The bound and its terms.

    Raises:
        TypeError: If an argument is complex or not a number, or `norms` is not a `LayerNorms`.
        ValueError: If a number is out of range, where it is known, or there are fewer than two examples.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import margins
        >>> norms = margins.LayerNorms(jnp.array([1.0]), jnp.array([1.0]), 10)
        >>> found = margins.bound(jnp.ones(10_000), norms, 100.0, margin=0.5)
        >>> bool(found.value > 1), float(found.empirical)
        (True, 0.0)

    References:
        Peter Bartlett, Dylan Foster and Matus Telgarsky, "Spectrally-normalized margin bounds for neural
        networks", 2017.
        Florian Graf, Sebastian Zeng, Bastian Rieck, Marc Niethammer and Roland Kwitt, "Measuring excess
        capacity in neural networks", 2022.
    """
    spectral, two_one, lipschitz, _ = _checked(norms, lipschitz)
    (values, data_norm, margin, delta, spectral, two_one, lipschitz), back = real_arrays(
        values=values,
        data_norm=data_norm,
        margin=margin,
        delta=delta,
        spectral=spectral,
        two_one=two_one,
        lipschitz=lipschitz,
    )
    checks.axes("values", values, "n")
    n = values.shape[0]
    if n < 2:
        raise ValueError(f"values has the shape {values.shape}: take the margins of two examples or more")
    checks.nonnegative("data_norm", data_norm, one=True)
    checks.positive("margin", margin, one=True)
    checks.positive("delta", delta, one=True)
    checks.within("delta", delta, 0, 1, one=True)
    layers = spectral.shape[-1]
    steps = [_steps(data_norm), _steps(layers * spectral), _steps(layers * two_one)]
    power = jnp.floor(jnp.log2(margin))
    spent = jnp.log(1.5 * (jnp.abs(power) + 1) * (jnp.abs(power) + 2))
    spent += sum(jnp.sum(jnp.log(step) + jnp.log(step + 1)) for step in steps)
    rounded = _complexity(steps[1] / layers, steps[2] / layers, lipschitz)
    width = math.sqrt(math.log(2 * norms.width**2))
    complexity = CONSTANT * math.log(n) * width * steps[0] * rounded / (2.0**power * n)
    confidence = 3 * jnp.sqrt((jnp.log(2 / delta) + spent) / (2 * n))
    empirical = jnp.mean(values <= margin, dtype=values.dtype)
    value = empirical + complexity + confidence + 8 / n**1.5
    return back(MarginBound(value, empirical, complexity, confidence))


def _checked(norms: LayerNorms, lipschitz: RealScalar) -> tuple[Array, Array, Array, Any]:
    """The norms and the Lipschitz constant in one dtype, and what gives a result its own."""
    checks.instance("norms", norms, LayerNorms, "a LayerNorms, as dense_norms returns it")
    (spectral, two_one, lipschitz), back = real_arrays(
        spectral=norms.spectral, two_one=norms.two_one, lipschitz=lipschitz
    )
    checks.positive("norms.spectral", spectral)
    checks.nonnegative("norms.two_one", two_one)
    checks.positive("lipschitz", lipschitz, one=True)
    return spectral, two_one, lipschitz, back


def _complexity(spectral: Array, two_one: Array, lipschitz: Array) -> Array:
    moved = jnp.sum((two_one / spectral) ** (2 / 3), axis=-1) ** 1.5
    return lipschitz * jnp.prod(spectral, axis=-1) * moved


def _steps(value: Array) -> Array:
    """The number of a grid's step, from 1, that is not below a value."""
    return jnp.maximum(jnp.ceil(value), 1)
