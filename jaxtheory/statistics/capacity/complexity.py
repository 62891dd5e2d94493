"""How well the functions of a class fit random signs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.roots import root
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar

SIGNS = 256
"""The number of vectors of signs that are handled at once."""


@record
class RademacherResult:
    """An empirical Rademacher complexity, estimated from random signs."""

    value: Float[Array, ""]
    """The mean of the supremum over the draws of signs."""
    standard_error: Float[Array, ""]
    """The standard error of that mean."""


def rademacher(
    x: Real[AnyArray, "n features"],
    key: RandomKey,
    *,
    kernel: Callable[[Array, Array], Array] | None = None,
    radius: RealScalar = 1.0,
    probes: int = 1000,
) -> RademacherResult:
    r"""Estimate the empirical Rademacher complexity of linear functions, or of those of a kernel.

    $\mathbb{E}_\sigma \sup_{\|f\| \le B} \frac1n \sum_i \sigma_i f(x_i)$ over random signs, the supremum in
    closed form: $\frac{B}{n} \|\sum_i \sigma_i x_i\|$ for linear functions $\langle w, x \rangle$ with
    $\|w\| \le B$, and $\frac{B}{n} \sqrt{\sigma^T K \sigma}$ in the space of a kernel. It is at most
    $\frac{B}{n} \sqrt{\mathrm{tr}\,K}$. A class with a complexity of 1 fits any signs.

    Args:
        x: The examples, one per row.
        key: The random key of the signs.
        kernel: The kernel, as a function from arrays `(n, features)` and `(m, features)` to `(n, m)`; `None`
            stands for linear functions.
        radius: The largest norm $B$ of the functions, at least 0.
        probes: The number of random vectors of signs, at least 2.

    Returns:
        The complexity, with the standard error over the draws.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, `probes` is not a whole number, or
            `key` is not a random key.
        ValueError: If a shape or number is out of range, or the kernel (where its values are known) is not
            symmetric and positive semidefinite.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.statistics import capacity
        >>> found = capacity.rademacher(jnp.eye(4), jax.random.key(0), radius=2.0)
        >>> float(found.value), float(found.standard_error)  # orthonormal: B / sqrt(n), whatever the signs
        (1.0, 0.0)

    References:
        Peter Bartlett and Shahar Mendelson, "Rademacher and Gaussian complexities: risk bounds and structural
        results", 2002.
    """
    (x, radius), back = real_arrays(x=x, radius=radius)
    checks.axes("x", x, "n", "features")
    checks.random_key("key", key)
    checks.nonnegative("radius", radius, one=True)
    probes = checks.count("probes", probes, least=2)
    n = x.shape[0]
    if n == 0:
        raise ValueError(f"x has the shape {x.shape}: take at least one example")
    factor = x
    if kernel is not None:
        (factor,), _ = real_arrays(kernel=kernel(x, x))
        checks.axes("kernel", factor, "n", "m", sizes=(n, n))
        if checks.known(factor):
            _check_semidefinite(np.asarray(factor))
    return back(_rademacher(factor, radius, key, probes, kernel is not None))


@partial(jax.jit, static_argnums=(3, 4))
def _rademacher(factor: Array, radius: Array, key: Any, probes: int, is_gram: bool) -> RademacherResult:
    n = factor.shape[0]

    def supremum(key: Array) -> Array:
        # Of single bits: other draws would depend on whether double precision is on.
        signs = 2 * (jax.random.bits(key, (n,), "uint8") & 1).astype(factor.dtype) - 1
        sums = matmul(signs, factor)
        return root(jnp.sum(sums * signs) if is_gram else jnp.sum(sums**2))

    # In blocks, so that memory stays that of some hundred draws.
    suprema = lax.map(supremum, jax.random.split(key, probes), batch_size=min(probes, SIGNS))
    error = root(jnp.var(suprema, ddof=1) / probes)
    return RademacherResult(radius / n * suprema.mean(), radius / n * error)


def _check_semidefinite(gram: np.ndarray) -> None:
    """Refuses a matrix that is no Gram matrix, and names the eigenvalue."""
    slack = 100 * np.finfo(gram.dtype).eps * len(gram) ** 0.5 * np.abs(gram).max()
    if not np.allclose(gram, gram.T, rtol=0, atol=slack):
        raise ValueError("kernel is not symmetric: take a function with k(x, y) = k(y, x)")
    least = np.linalg.eigvalsh(gram)[0]
    if least < -slack * len(gram) ** 0.5:
        raise ValueError(f"kernel has the eigenvalue {least:.3g}: take a positive semidefinite one")
