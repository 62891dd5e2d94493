r"""What the theorems promise about codes of several layers, from coherences and sparsity.

Conventions: `mu` holds the mutual coherence $\mu(D_i) > 0$ of each layer, as `coherences` gives it;
`sparsity` holds the figures of the codes, as the function of this name gives them. Both have the layers on
their last axis.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Reals
from jaxtheory.sparse import coherence
from jaxtheory.sparse.multilayer.layout import PerLayer
from jaxtheory.sparse.multilayer.norms import Sparsity

Thresholding = Literal["soft", "hard"]

ABOVE_LOWEST = {"soft": 0.01, "hard": 0.5}
"""Where in the interval of admissible thresholds one is taken: a soft one enters the error, and is small."""


@record
class Guarantee:
    """What a theorem promises, layer by layer."""

    sparsities: Float[Array, "... layers"]
    """The number that the entries of each stripe must stay below."""
    errors: Float[Array, "... layers"]
    """The bound on the error, infinite where the hypothesis does not hold."""
    holds: Bool[Array, "... layers"]
    """Whether the hypothesis holds in this layer and all before."""
    parameters: Float[Array, "... layers"] | None = None
    """The thresholds or penalties that the theorem prescribes; `None` where there are none."""


def uniqueness_guarantee(mu: Real[AnyArray, "... layers"], sparsity: Sparsity) -> Guarantee:
    r"""Tell whether codes are the only ones of their image that are as sparse in every layer (theorem 4).

    The hypothesis is $\|\Gamma_i\|^S_{0,\infty} < \frac12 (1 + 1 / \mu(D_i))$ for all $i$.

    Args:
        mu: The mutual coherence of each layer.
        sparsity: The figures of the codes.

    Returns:
        The sparsity to stay below, an error of zero, and whether the hypothesis holds.

    Raises:
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> one = jnp.ones(2)
        >>> codes = multilayer.Sparsity(jnp.array([2, 3]), jnp.array([1, 1]), one, one)
        >>> multilayer.uniqueness_guarantee(jnp.array([0.25, 0.25]), codes).holds.tolist()
        [True, False]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    (mu, sparsity), back = real_arrays(mu=mu, sparsity=sparsity)
    bounds = coherence.uniqueness_sparsity(mu)
    holds = _so_far(sparsity.stripes < bounds)
    errors = jnp.where(holds, jnp.zeros_like(bounds), jnp.inf)
    return back(Guarantee(jnp.broadcast_to(bounds, holds.shape), errors, holds))


def stability_guarantee(mu: Real[AnyArray, "... layers"], sparsity: Sparsity, noise: Reals) -> Guarantee:
    r"""Bound how far apart sparse codes are that meet the same noisy image (theorem 5).

    $\|\Gamma_i - \hat\Gamma_i\|_2^2 \le \epsilon_i^2 = 4 \epsilon_{i-1}^2 / (1 - (2 \lambda_i - 1) \mu(D_i))$
    for codes with stripes of at most $\lambda_i < \frac12 (1 + 1 / \mu(D_i))$ entries and with
    $\|\Gamma_{i-1} - D_i \Gamma_i\|_2 \le \epsilon_{i-1}$.

    Args:
        mu: The mutual coherence of each layer.
        sparsity: The figures of the codes; $\lambda_i$ are its stripes.
        noise: The norm $\epsilon_0$ of the noise in each image.

    Returns:
        The sparsity to stay below, the bounds $\epsilon_i$, and whether the hypothesis holds.

    Raises:
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> one = jnp.ones(2)
        >>> codes = multilayer.Sparsity(jnp.array([2, 2]), jnp.array([1, 1]), one, one)
        >>> multilayer.stability_guarantee(jnp.array([0.25, 0.25]), codes, 0.5).errors.tolist()
        [2.0, 8.0]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    (mu, sparsity, noise), back = real_arrays(mu=mu, sparsity=sparsity, noise=noise)
    bounds = coherence.uniqueness_sparsity(mu)
    holds = _so_far(sparsity.stripes < bounds)
    gains = coherence.stability_error(mu, sparsity.stripes, 1.0)
    errors = jnp.where(holds, noise[..., None] * jnp.cumprod(gains, -1), jnp.inf)
    return back(Guarantee(jnp.broadcast_to(bounds, holds.shape), errors, holds))


def thresholding_guarantee(
    mu: Real[AnyArray, "... layers"],
    sparsity: Sparsity,
    noise: Reals,
    *,
    kind: Thresholding = "soft",
    thresholds: PerLayer | Real[AnyArray, "... layers"] | None = None,
) -> Guarantee:
    r"""Bound the error of layered thresholding (theorem 8 for hard and 10 for soft thresholding).

    If $\|\Gamma_i\|^S_{0,\infty} < \frac12 (1 + \frac{\Gamma_i^{\min}}{\mu(D_i) \Gamma_i^{\max}}) -
    \frac{\epsilon_{i-1}}{\mu(D_i) \Gamma_i^{\max}}$ in every layer and thresholds $\beta_i$ are above
    $\epsilon_{i-1} + \mu(D_i) \|\Gamma_i\|^S_{0,\infty} \Gamma_i^{\max}$ and below $\Gamma_i^{\min} -
    \epsilon_{i-1} - \mu(D_i) (\|\Gamma_i\|^S_{0,\infty} - 1) \Gamma_i^{\max}$, supports are found and
    $\|\Gamma_i - \hat\Gamma_i\|^P_{2,\infty} \le \epsilon_i = \sqrt{\|\Gamma_i\|^P_{0,\infty}} \,
    (\epsilon_{i-1} + \mu(D_i) (\|\Gamma_i\|^S_{0,\infty} - 1) \Gamma_i^{\max} + \beta_i)$, without the
    last term for hard thresholding.

    Args:
        mu: The mutual coherence of each layer.
        sparsity: The figures of the true codes.
        noise: The norm $\epsilon_0 = \|E\|^P_{2,\infty}$ of the noise in each image, as `patch_norm` gives it
            with the size of the first filters.
        kind: The thresholding: `"soft"` or `"hard"`.
        thresholds: The thresholds $\beta_i$ of each layer; by default the middle of the interval for hard
            thresholding, and a hundredth of its length from its lower end for soft; half of the smallest
            entry where the hypothesis does not hold.

    Returns:
        The sparsity to stay below, the bounds $\epsilon_i$, whether the hypothesis holds, and the thresholds.

    Raises:
        ValueError: If the kind is unknown.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> count, size = jnp.full(1, 2), jnp.ones(1)
        >>> codes = multilayer.Sparsity(count, count, size, size)
        >>> found = multilayer.thresholding_guarantee(jnp.array([0.125]), codes, 0.0, kind="hard")
        >>> found.sparsities.tolist(), found.parameters.tolist(), found.errors.round(3).tolist()
        ([4.5], [0.5625], [0.177])

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    checks.one_of("kind", kind, tuple(ABOVE_LOWEST))
    (mu, sparsity, error, thresholds), back = real_arrays(
        optional=("thresholds",), mu=mu, sparsity=sparsity, noise=noise, thresholds=thresholds
    )
    holds, columns = True, []
    for layer in range(mu.shape[-1]):
        of = jax.tree.map(lambda values: values[..., layer], sparsity)  # noqa: B023 (called at once)
        cross = mu[..., layer] * of.largest
        lowest = error + cross * of.stripes
        highest = of.smallest - error - cross * (of.stripes - 1)
        if thresholds is None:
            share = ABOVE_LOWEST[kind]
            # Without entries there is nothing to lose above the lowest.
            threshold = lowest + share * jnp.where(highest < jnp.inf, highest - lowest, 1)
            threshold = jnp.where(holds & (lowest < highest), threshold, of.smallest / 2)
        else:
            threshold = thresholds[..., layer]
        bound = coherence.thresholding_sparsity(mu[..., layer], of.smallest, of.largest, error)
        holds = holds & (lowest < threshold) & (threshold < highest)
        entrywise = error + cross * (of.stripes - 1) + (threshold if kind == "soft" else 0)
        error = jnp.where(holds, jnp.sqrt(of.patches) * entrywise, jnp.inf)
        columns.append((bound, error, holds, threshold))
    shape = jnp.broadcast_shapes(*(jnp.shape(value) for column in columns for value in column))
    parts = ([jnp.broadcast_to(value, shape) for value in row] for row in zip(*columns))
    return back(Guarantee(*(jnp.stack(part, -1) for part in parts)))


def basis_pursuit_guarantee(mu: Real[AnyArray, "... layers"], sparsity: Sparsity, noise: Reals) -> Guarantee:
    r"""Bound the error of layered basis pursuit (theorem 12).

    If $\|\Gamma_i\|^S_{0,\infty} < \frac13 (1 + 1 / \mu(D_i))$ in every layer and penalties are
    $\xi_i = 4 \epsilon_{i-1}$, supports lie in those of $\Gamma_i$, $\|\Gamma_i - \hat\Gamma_i\|^P_{2,\infty}
    \le \epsilon_i = \epsilon_0 \, 7.5^i \prod_{j \le i} \sqrt{\|\Gamma_j\|^P_{0,\infty}}$, and every entry
    larger than $\epsilon_i / \sqrt{\|\Gamma_i\|^P_{0,\infty}}$ is found.

    Args:
        mu: The mutual coherence of each layer.
        sparsity: The figures of the true codes.
        noise: The norm $\epsilon_0 = \|E\|^P_{2,\infty}$ of the noise in each image, as `patch_norm` gives it
            with the size of the first filters.

    Returns:
        The sparsity to stay below, the bounds $\epsilon_i$, whether the hypothesis holds, and the penalties.

    Raises:
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> one = jnp.ones(2)
        >>> codes = multilayer.Sparsity(jnp.array([2, 2]), jnp.array([4, 4]), one, one)
        >>> multilayer.basis_pursuit_guarantee(jnp.array([0.125, 0.125]), codes, 1.0).errors.tolist()
        [15.0, 225.0]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    (mu, sparsity, noise), back = real_arrays(mu=mu, sparsity=sparsity, noise=noise)
    bounds = (1 + 1 / mu) / 3
    holds = _so_far(sparsity.stripes < bounds)
    errors = noise[..., None] * jnp.cumprod(7.5 * jnp.sqrt(sparsity.patches), -1)
    before = jnp.concatenate(
        [jnp.broadcast_to(noise[..., None], errors[..., :1].shape), errors[..., :-1]], -1
    )
    errors = jnp.where(holds, errors, jnp.inf)
    return back(Guarantee(jnp.broadcast_to(bounds, holds.shape), errors, holds, 4 * before))


def _so_far(holds: Array) -> Array:
    """Whether something holds in a layer and all before."""
    return jnp.cumprod(holds, -1).astype(bool)
