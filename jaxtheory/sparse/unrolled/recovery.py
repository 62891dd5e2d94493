r"""What is proved about ALISTA: thresholds with which no layer errs on the support and errors fall linearly.

Conventions: codes have at most $s$ nonzeros, of size $B$ at most, and signals are $x = z D$ without noise.
The guarantee needs $s < (1 + 1 / \tilde\mu) / 2$, with the generalized coherence $\tilde\mu$ of weight and
dictionary.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray
from jaxtheory.sparse.proximal import soft_threshold
from jaxtheory.sparse.unrolled import alista


@record
class RecoveryGuarantee:
    """Thresholds of the layers, and how large errors with them may be."""

    thresholds: Float[Array, " layers"]
    """The threshold of each layer."""
    bounds: Float[Array, " layers"]
    """The largest Euclidean error of a code after each layer; it grows where the hypothesis is not met."""


def alista_guarantee(
    dictionary: Real[AnyArray, "atoms features"],
    weight: Real[AnyArray, "atoms features"],
    codes: Real[AnyArray, "n atoms"],
    *,
    layers: int,
) -> RecoveryGuarantee:
    r"""Return the thresholds of the theorem on ALISTA with step sizes of 1, and its bounds.

    Layer $k$ has the threshold $\theta_k = \tilde\mu \sup \|z^{(k)} - z\|_1$, with the supremum over the
    given codes, for which it then holds that no layer has a nonzero outside the support, and that
    $\|z^{(k)} - z\|_2 \le s B (\tilde\mu (2 s - 1))^k$.

    Args:
        dictionary: The dictionary, one atom per row.
        weight: The weight, as `alista.analytic_weight` gives it.
        codes: The codes that are to be recovered, at least one.
        layers: The number of layers, at least 1.

    Returns:
        The thresholds and the bounds.

    Raises:
        ValueError: If shapes do not match, there are no codes, or `layers` is out of range.
        TypeError: If an argument is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import recovery
        >>> dictionary = jnp.array([[1.0, 0.0], [0.6, 0.8]])
        >>> found = recovery.alista_guarantee(dictionary, dictionary, jnp.array([[2.0, 0.0]]), layers=2)
        >>> found.thresholds.round(4), found.bounds.round(4)
        (Array([1.2 , 0.72], dtype=float32), Array([1.2 , 0.72], dtype=float32))

    References:
        Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned weights in LISTA, 2019.
    """
    layers = checks.count("layers", layers)
    (dictionary, weight, codes), back = real_arrays(dictionary=dictionary, weight=weight, codes=codes)
    checks.axes("dictionary", dictionary, "atoms", "features")
    checks.axes("weight", weight, "atoms", "features", sizes=dictionary.shape)
    checks.axes("codes", codes, "n", "atoms", sizes=(None, dictionary.shape[0]))
    if not len(codes):
        raise ValueError(f"codes has the shape {codes.shape}: take at least one code")
    return back(_guarantee(dictionary, weight, codes, layers))


@partial(jax.jit, static_argnums=3)
def _guarantee(dictionary: Array, weight: Array, codes: Array, layers: int) -> RecoveryGuarantee:
    """The thresholds, layer after layer."""
    mu, signals = alista.generalized_coherence(dictionary, weight), matmul(codes, dictionary)

    def layer(z: Array, _: None) -> tuple[Array, Array]:
        threshold = mu * jnp.max(jnp.sum(jnp.abs(z - codes), axis=1))
        moved = z + matmul(signals - matmul(z, dictionary), weight.T)
        return soft_threshold(moved, threshold), threshold

    thresholds = lax.scan(layer, jnp.zeros_like(codes), length=layers)[1]
    sparsity = jnp.max(jnp.sum(codes != 0, axis=1)).astype(codes.dtype)
    rate = mu * (2 * sparsity - 1)
    bounds = sparsity * jnp.max(jnp.abs(codes)) * rate ** jnp.arange(1, layers + 1)
    return RecoveryGuarantee(thresholds, bounds)
