"""Measures of coherence: cosines between atoms, their sums, and entries of convolutional codes by stripes.

References:
    Donoho and Elad, Optimally sparse representation in general (nonorthogonal) dictionaries via l1
    minimization, 2003.
    Tropp, Greed is good: algorithmic results for sparse approximation, 2004.
    Papyan, Sulam and Elad, Working locally thinking globally: theoretical guarantees for convolutional sparse
    coding, 2017.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Num, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray

UNIT = 1e-3
"""How far from one the norm of an atom may be, or the rounding of its dtype if that is coarser."""


def _check_norms(squares: Array, rounding: float) -> None:
    """Refuses squared norms that are not one, where their values are known."""
    if not checks.known(squares):
        return
    norms = np.sqrt(np.asarray(squares))
    if not np.all(norms > 0):
        index = int(np.argmin(norms.ravel() > 0) % norms.shape[-1])
        raise ValueError(f"dictionary has zeros or NaN as atom {index}: leave it out, it has no direction")
    if np.any(np.abs(norms - 1) > max(UNIT, rounding)):
        worst = norms.ravel()[np.argmax(np.abs(norms - 1))]
        raise ValueError(
            f"dictionary has an atom of norm {worst:.3g}: take atoms of unit norm, each divided by its norm"
        )


def _atoms(dictionary: Any) -> tuple[Array, Callable[[Any], Any]]:
    """Real or complex atoms of unit norm, and what gives results their dtype."""
    array, back = as_array("dictionary", dictionary), lambda result: result
    rounding = float(jnp.finfo(array.dtype).eps) if jnp.issubdtype(array.dtype, jnp.inexact) else 0.0
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        array = jnp.asarray(array)
    else:
        (array,), back = real_arrays(dictionary=array)
    checks.axes("dictionary", array, "...", "atoms", "features")
    if 0 in array.shape[-2:]:
        raise ValueError(f"dictionary has the shape {array.shape}: take at least one atom and one feature")
    _check_norms(jnp.sum(jnp.abs(array) ** 2, -1), rounding)
    return array, back


def _cosines(atoms: Array) -> Array:
    """Absolute inner products of the atoms, with zeros on the diagonal."""
    gram = matmul(jnp.conj(atoms), jnp.swapaxes(atoms, -1, -2))
    return jnp.abs(gram * (1 - jnp.eye(gram.shape[-1], dtype=gram.dtype)))


def mutual_coherence(dictionary: Num[AnyArray, "... atoms features"]) -> Float[Array, "..."]:
    r"""Return the largest cosine between two atoms, $\mu = \max_{i \ne j} |\langle d_i, d_j \rangle|$.

    Args:
        dictionary: The atoms, real or complex.

    Returns:
        The mutual coherence.

    Raises:
        ValueError: If an atom is zero or does not have unit norm (where its values are known), or there are
            no atoms.
        TypeError: If it is not an array of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> coherence.mutual_coherence(jnp.array([[1.0, 0.0], [0.6, 0.8]]))
        Array(0.6, dtype=float32)
    """
    atoms, back = _atoms(dictionary)
    return back(jnp.max(_cosines(atoms), axis=(-2, -1)))


def babel(dictionary: Num[AnyArray, "... atoms features"]) -> Float[Array, "... atoms"]:
    r"""Return the Babel function: the largest sum of an atom's cosines with $k$ others, by $k$.

    $\mu_1(k) = \max_i \max_{|J| = k, i \notin J} \sum_{j \in J} |\langle d_i, d_j \rangle|$, at most
    $k \mu$ and often less.

    Args:
        dictionary: The atoms, real or complex.

    Returns:
        The values for k = 0, 1, up to one less than the number of atoms.

    Raises:
        ValueError: If an atom is zero or does not have unit norm (where its values are known), or there are
            no atoms.
        TypeError: If it is not an array of numbers.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.babel(coherence.hadamard_dirac(4))
        Array([0. , 0.5, 1. , 1.5, 2. , 2. , 2. , 2. ], dtype=float32)
    """
    atoms, back = _atoms(dictionary)
    return back(_babel(atoms))


def _babel(atoms: Array) -> Array:
    falling = -jnp.sort(-_cosines(atoms), axis=-1)
    sums = jnp.max(jnp.cumsum(falling, axis=-1), axis=-2)
    return jnp.concatenate([jnp.zeros_like(sums[..., :1]), sums[..., :-1]], -1)


def spark_bound(dictionary: Num[AnyArray, "... atoms features"]) -> Int[Array, "..."]:
    r"""Return a lower bound on the spark, the least number of dependent atoms.

    The least $k$ with $\mu_1(k - 1) \ge 1$, which is at least $1 + 1 / \mu$. More atoms than features are
    always dependent, so the bound is at most features + 1; it is atoms + 1 where all are surely independent.

    Args:
        dictionary: The atoms, real or complex.

    Returns:
        The bound.

    Raises:
        ValueError: If an atom is zero or does not have unit norm (where its values are known), or there are
            no atoms.
        TypeError: If it is not an array of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> coherence.spark_bound(jnp.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]))
        Array(3, dtype=int32)
    """
    array, _ = _atoms(dictionary)
    atoms, features = array.shape[-2:]
    sums = _babel(array)
    # A sum that rounding has taken below one must not promise independence.
    rounding = 4 * atoms * jnp.finfo(sums.dtype).eps
    return jnp.minimum(jnp.sum(sums < 1 - rounding, -1) + 1, features + 1)


def shift_coherence(filters: Real[AnyArray, "*kernel_size channels atoms"]) -> Float[Array, "..."]:
    r"""Return the mutual coherence of a convolutional dictionary by shifts, $\mu_s$.

    Its maximum is the mutual coherence of the dictionary. The image is assumed to be so large that
    a filter meets another on one side only. The entry of no shift, in the middle, is over different atoms.

    Args:
        filters: The atoms.

    Returns:
        The coherences, `(2 height - 1, 2 width - 1)` or `(2 length - 1,)`.

    Raises:
        ValueError: If filters have another shape, or an atom is zero or does not have unit norm (where their
            values are known).
        TypeError: If filters are complex.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> coherence.shift_coherence(jnp.array([0.6, 0.8])[:, None, None])
        Array([0.48, 0.  , 0.48], dtype=float32)
    """
    given = as_array("filters", filters)
    rounding = float(jnp.finfo(given.dtype).eps) if jnp.issubdtype(given.dtype, jnp.inexact) else 0.0
    (filters,), back = real_arrays(filters=given)
    flat = filters.ndim == 3
    if filters.ndim not in (3, 4) or 0 in filters.shape:
        raise ValueError(
            f"filters has the shape {filters.shape}: take (height, width, channels, atoms) or (length, "
            "channels, atoms)"
        )
    filters = filters[:, None] if flat else filters
    _check_norms(jnp.sum(filters**2, (0, 1, 2)), rounding)
    h, w, _, atoms = filters.shape
    products = lax.conv_general_dilated(
        jnp.moveaxis(filters, -1, 0),
        filters,
        (1, 1),
        [(h - 1, h - 1), (w - 1, w - 1)],
        dimension_numbers=("NHWC", "HWIO", "HWNC"),
        precision="highest",
    )
    sizes = jnp.abs(products).at[h - 1, w - 1].multiply(1 - jnp.eye(atoms, dtype=filters.dtype))
    largest = jnp.max(sizes, axis=(-2, -1))
    return back(largest[:, 0] if flat else largest)


def stripe_sparsity(
    codes: Num[AnyArray, "..."],
    kernel_size: tuple[int, ...],
    *,
    boundary: Literal["periodic", "zero"] = "periodic",
) -> Int[Array, "..."]:
    r"""Count the entries of the fullest stripe of convolutional codes, $\|\Gamma\|_{0,\infty}$.

    A stripe holds the codes of all atoms that meet one patch: those less than a filter's size away.

    Args:
        codes: The codes, `(..., H, W, atoms)` or `(..., length, atoms)`.
        kernel_size: The filters' size, `(height, width)` or `(length,)`.
        boundary: Whether stripes continue at the other side, `"periodic"`, or end at the border, `"zero"`.

    Returns:
        The count of each image or signal.

    Raises:
        ValueError: If a stripe is larger than a periodic image, sizes do not match, or an option is unknown.
        TypeError: If codes are not an array of numbers, or sizes are not whole numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> coherence.stripe_sparsity(jnp.array([1.0, 0.0, 3.0, 0.0, 0.0, 0.0])[:, None], (2,))
        Array(2, dtype=int32)
    """
    codes = as_array("codes", codes)
    kernel_size = checks.sizes("kernel_size", kernel_size, ("height", "width"), ("length",))
    space = len(kernel_size)
    if codes.ndim <= space:
        raise ValueError(
            f"kernel_size is {kernel_size}, for codes of shape {codes.shape}: take (height, width) or "
            "(length,)"
        )
    checks.one_of("boundary", boundary, ("periodic", "zero"))
    shape = codes.shape[-space - 1 : -1]
    if boundary == "periodic" and any(2 * k - 1 > n for k, n in zip(kernel_size, shape)):
        raise ValueError(
            f"kernel_size is {kernel_size}: its stripes do not fit on a periodic image of {shape}, take less"
        )
    counts = jnp.sum(codes != 0, axis=-1, dtype=jnp.int32)
    lead = counts.ndim - space
    padding = [(0, 0)] * lead + [(k - 1, k - 1) for k in kernel_size]
    counts = jnp.pad(counts, padding, mode="wrap" if boundary == "periodic" else "constant")
    window = (*[1] * lead, *(2 * k - 1 for k in kernel_size))
    stripes = lax.reduce_window(counts, np.int32(0), lax.add, window, [1] * counts.ndim, "VALID")
    return jnp.max(stripes, axis=tuple(range(lead, counts.ndim)))
