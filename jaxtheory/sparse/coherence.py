r"""Coherence of dictionaries, and what it guarantees: uniqueness, recovery and stability of sparse codes.

A dictionary has shape `(atoms, features)`, an atom a row of unit norm, real or complex. The mutual coherence
$\mu$ is the largest $|\langle d_i, d_j \rangle|$ of two atoms. The bounds take numbers and arrays.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import lax
from jaxtyping import Array, Complex, Float, Int, Key, UInt32

Dictionary = (
    Float[Array, "... atoms features"]
    | Float[np.ndarray, "... atoms features"]
    | Complex[Array, "... atoms features"]
    | Complex[np.ndarray, "... atoms features"]
)
Filters = Float[Array, "..."] | Float[np.ndarray, "..."]
Amount = (
    Float[Array, "..."]
    | Float[np.ndarray, "..."]
    | Int[Array, "..."]
    | Int[np.ndarray, "..."]
    | float
    | int
    | np.floating
    | np.integer
)
_UNIT = 1e-3
"""How far from one the norm of an atom may be."""


def _check_norms(squares: Any, of: str) -> None:
    """Refuses squared norms that are not one, where they have values."""
    if isinstance(squares, jax.core.Tracer):
        return
    norms = np.sqrt(np.asarray(squares))
    if not np.all(norms > 0):
        index = int(np.argmin(norms.ravel() > 0) % norms.shape[-1])
        raise ValueError(f"{of} {index} is zero: coherence compares directions; leave it out")
    if np.any(np.abs(norms - 1) > _UNIT):
        worst = norms.ravel()[np.argmax(np.abs(norms - 1))]
        raise ValueError(
            f"{of}s have unit norm, and one has {worst:.3g}: divide each by its norm and "
            "multiply its codes by it"
        )


def _cosines(dictionary: Any) -> Array:
    """Absolute inner products of the atoms, with zeros on the diagonal."""
    dictionary = jnp.asarray(dictionary)
    _check_norms(jnp.sum(jnp.abs(dictionary) ** 2, -1), "atom")
    gram = jnp.einsum("...if,...jf->...ij", jnp.conj(dictionary), dictionary, precision="highest")
    return jnp.abs(gram * (1 - jnp.eye(gram.shape[-1], dtype=gram.dtype)))


def mutual_coherence(dictionary: Dictionary) -> Float[Array, "..."]:
    r"""The largest cosine between two atoms, $\mu = \max_{i \ne j} |\langle d_i, d_j \rangle|$.

    Args:
        dictionary: Shape `(..., atoms, features)`, rows of unit norm.

    Returns:
        Shape `(...,)`.

    Raises:
        ValueError: If an atom is zero or has not unit norm (where the dictionary has values).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> coherence.mutual_coherence(jnp.array([[1.0, 0.0], [0.6, 0.8]]))
        Array(0.6, dtype=float32)

    References:
        Donoho and Elad, Optimally sparse representation in general (nonorthogonal) dictionaries via l1
        minimization, 2003.
    """
    return jnp.max(_cosines(dictionary), axis=(-2, -1), initial=0)


def babel(dictionary: Dictionary) -> Float[Array, "..."]:
    r"""The Babel function, the largest sum of an atom's cosines with $k$ others, by $k$.

    $\mu_1(k) = \max_i \max_{|J| = k, i \notin J} \sum_{j \in J} |\langle d_i, d_j \rangle|$, at most
    $k \mu$ and often less.

    Args:
        dictionary: Shape `(..., atoms, features)`, rows of unit norm.

    Returns:
        Shape `(..., atoms)`: the values for k = 0, 1, up to one less than the number of atoms.

    Raises:
        ValueError: If an atom is zero or has not unit norm (where the dictionary has values).

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.babel(coherence.hadamard_dirac(4))
        Array([0. , 0.5, 1. , 1.5, 2. , 2. , 2. , 2. ], dtype=float32)

    References:
        Tropp, Greed is good: algorithmic results for sparse approximation, 2004.
    """
    falling = -jnp.sort(-_cosines(dictionary), axis=-1)
    sums = jnp.max(jnp.cumsum(falling, axis=-1), axis=-2)
    return jnp.concatenate([jnp.zeros_like(sums[..., :1]), sums[..., :-1]], -1)


def spark_bound(dictionary: Dictionary) -> Int[Array, "..."]:
    r"""A lower bound on the spark, the least number of dependent atoms.

    The least $k$ with $\mu_1(k - 1) \ge 1$, which is at least $1 + 1 / \mu$. More atoms than features are
    always dependent, and so it is at most features + 1; it is atoms + 1 where all are surely independent.

    Args:
        dictionary: Shape `(..., atoms, features)`, rows of unit norm.

    Returns:
        Shape `(...,)`.

    Raises:
        ValueError: If an atom is zero or has not unit norm (where the dictionary has values).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> coherence.spark_bound(jnp.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]))
        Array(3, dtype=int32)

    References:
        Donoho and Elad, Optimally sparse representation in general (nonorthogonal) dictionaries via l1
        minimization, 2003.
        Tropp, Greed is good: algorithmic results for sparse approximation, 2004.
    """
    atoms, features = dictionary.shape[-2:]
    sums = babel(dictionary)
    # A sum that rounding has taken below one must not promise independence.
    rounding = 4 * atoms * jnp.finfo(sums.dtype).eps
    return jnp.minimum(jnp.sum(sums < 1 - rounding, -1) + 1, features + 1)


def _correlations(filters: Any) -> Array:
    """Absolute inner products of atoms i and j by how far j is moved: (2 height - 1, 2 width - 1, i, j)."""
    filters = jnp.asarray(filters)
    if filters.ndim not in (3, 4):
        raise ValueError(
            "filters have shape (height, width, channels, atoms) or (length, channels, atoms), got "
            f"{filters.shape}"
        )
    if filters.ndim == 3:
        filters = filters[:, None]
    _check_norms(jnp.sum(filters**2, (0, 1, 2)), "atom")
    h, w = filters.shape[:2]
    return jnp.abs(
        lax.conv_general_dilated(
            jnp.moveaxis(filters, -1, 0), filters, (1, 1), [(h - 1, h - 1), (w - 1, w - 1)],
            dimension_numbers=("NHWC", "HWIO", "HWNC"), precision="highest",
        )
    )  # fmt: skip


def shift_coherence(filters: Filters) -> Float[Array, "..."]:
    r"""The mutual coherence of a convolutional dictionary by shifts, $\mu_s$.

    Its maximum is the mutual coherence of the dictionary. The image is supposed to be so large that
    a filter meets another on one side only. The entry of no shift, in the middle, is over different atoms.

    Args:
        filters: Shape `(height, width, channels, atoms)` or `(length, channels, atoms)`, atoms of unit norm.

    Returns:
        Shape `(2 * height - 1, 2 * width - 1)` or `(2 * length - 1,)`.

    Raises:
        ValueError: If filters have another shape, or an atom is zero or has not unit norm (where they
            have values).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> coherence.shift_coherence(jnp.array([0.6, 0.8])[:, None, None])
        Array([0.48, 0.  , 0.48], dtype=float32)

    References:
        Papyan, Sulam and Elad, Working locally thinking globally: theoretical guarantees for convolutional
        sparse coding, 2017.
    """
    sizes = _correlations(filters)
    h, w = ((n + 1) // 2 for n in sizes.shape[:2])
    sizes = sizes.at[h - 1, w - 1].multiply(1 - jnp.eye(sizes.shape[-1], dtype=sizes.dtype))
    largest = jnp.max(sizes, axis=(-2, -1))
    return largest if jnp.ndim(filters) == 4 else largest[:, 0]


def stripe_sparsity(
    codes: Filters, kernel: tuple[int, ...], *, boundary: Literal["periodic", "zero"] = "periodic"
) -> Int[Array, "..."]:
    r"""The norm $\|\Gamma\|_{0,\infty}$ of convolutional codes: the entries of the fullest stripe.

    A stripe holds the codes of all atoms that meet one patch: those less than a filter's size away.

    Args:
        codes: Shape `(..., H, W, atoms)`, or `(..., length, atoms)`.
        kernel: The filters' size, `(height, width)` or `(length,)`.
        boundary: Whether stripes go on at the other side, `"periodic"`, or end at the border, `"zero"`.

    Returns:
        Shape `(...,)`.

    Raises:
        ValueError: If a stripe is larger than a periodic image, sizes do not match, or an option is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> coherence.stripe_sparsity(jnp.array([1.0, 0.0, 3.0, 0.0, 0.0, 0.0])[:, None], (2,))
        Array(2, dtype=int32)

    References:
        Papyan, Sulam and Elad, Working locally thinking globally: theoretical guarantees for convolutional
        sparse coding, 2017.
    """
    space = len(kernel)
    if space not in (1, 2) or codes.ndim <= space or min(kernel) < 1:
        raise ValueError(
            f"kernel is {kernel}, for codes of shape {codes.shape}: take (height, width) or (length,)"
        )
    if boundary not in ("periodic", "zero"):
        raise ValueError(f"boundary is {boundary!r}: take 'periodic' or 'zero'")
    size = codes.shape[-space - 1 : -1]
    if boundary == "periodic" and any(2 * k - 1 > n for k, n in zip(kernel, size)):
        raise ValueError(f"stripes of filters of size {kernel} do not fit on a periodic image of size {size}")
    counts = jnp.sum(codes != 0, axis=-1, dtype=jnp.int32)
    lead = counts.ndim - space
    padding = [(0, 0)] * lead + [(k - 1, k - 1) for k in kernel]
    counts = jnp.pad(counts, padding, mode="wrap" if boundary == "periodic" else "constant")
    window = (*[1] * lead, *(2 * k - 1 for k in kernel))
    stripes = lax.reduce_window(counts, np.int32(0), lax.add, window, [1] * counts.ndim, "VALID")
    return jnp.max(stripes, axis=tuple(range(lead, counts.ndim)))


def welch_bound(atoms: int, features: int) -> float:
    r"""The least mutual coherence that so many atoms can have: $\sqrt{(m - n) / (n (m - 1))}$.

    Args:
        atoms: $m$.
        features: $n$.

    Returns:
        The bound, zero for no more atoms than features.

    Raises:
        ValueError: If a count is below 1.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.welch_bound(3, 2)
        0.5

    References:
        Welch, Lower bounds on the maximum cross correlation of signals, 1974.
    """
    _check_counts(atoms=atoms, features=features)
    return 0.0 if atoms <= features else float(np.sqrt((atoms - features) / (features * (atoms - 1))))


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}: take 1 at least")


def uniqueness_sparsity(coherence: Amount) -> Float[Array, "..."]:
    r"""Codes with fewer entries than $(1 + 1 / \mu) / 2$ are the sparsest; pursuits find them without noise.

    Orthogonal matching pursuit and basis pursuit do. For a convolutional dictionary the count is that of the
    fullest stripe.

    Args:
        coherence: $\mu > 0$.

    Returns:
        The bound, which the number of entries must stay strictly below.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.uniqueness_sparsity(0.25)
        Array(2.5, dtype=float32, weak_type=True)

    References:
        Donoho and Elad, Optimally sparse representation in general (nonorthogonal) dictionaries via l1
        minimization, 2003.
        Tropp, Greed is good: algorithmic results for sparse approximation, 2004.
        Papyan, Sulam and Elad, Working locally thinking globally, 2017.
    """
    return (1 + 1 / jnp.asarray(coherence)) / 2


def thresholding_sparsity(
    coherence: Amount, smallest: Amount, largest: Amount, noise: Amount = 0.0
) -> Float[Array, "..."]:
    r"""Thresholding finds supports of fewer entries than this.

    $(1 + \Gamma_{\min} / (\mu \Gamma_{\max})) / 2 - \epsilon / (\mu \Gamma_{\max})$.

    Args:
        coherence: $\mu > 0$.
        smallest: $\Gamma_{\min}$, the smallest absolute value of a code's entry.
        largest: $\Gamma_{\max}$, the largest.
        noise: $\epsilon$, the largest absolute inner product of an atom with the noise, or the noise's norm.

    Returns:
        The bound, which the number of entries must stay strictly below.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> float(coherence.thresholding_sparsity(0.125, 1.0, 2.0))
        2.5

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    scale = jnp.asarray(coherence) * largest
    return (1 + smallest / scale) / 2 - noise / scale


def omp_sparsity(coherence: Amount, smallest: Amount, noise: Amount) -> Float[Array, "..."]:
    r"""Orthogonal matching pursuit finds supports of at most so many entries.

    $(1 + 1 / \mu) / 2 - \epsilon / (\mu \Gamma_{\min})$.

    Args:
        coherence: $\mu > 0$.
        smallest: $\Gamma_{\min}$, the smallest absolute value of a code's entry.
        noise: $\epsilon$, the noise's norm, at which the pursuit stops.

    Returns:
        The bound on the number of entries.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> float(coherence.omp_sparsity(0.125, 1.0, 0.25))
        2.5

    References:
        Donoho, Elad and Temlyakov, Stable recovery of sparse overcomplete representations in the presence of
        noise, 2006.
    """
    mu = jnp.asarray(coherence)
    return (1 + 1 / mu) / 2 - noise / (mu * smallest)


def _error(coherence: Any, sparsity: Any, noise: Any, entries: int, gain: int) -> Array:
    """sqrt(gain eps^2 / (1 - mu (entries s - 1))), infinite where the denominator is not positive."""
    room = 1 - jnp.asarray(coherence) * (entries * sparsity - 1)
    return jnp.where(room > 0, noise * jnp.sqrt(gain / jnp.where(room > 0, room, 1)), jnp.inf)


def omp_error(coherence: Amount, sparsity: Amount, noise: Amount) -> Float[Array, "..."]:
    r"""The error of orthogonal matching pursuit.

    $\|\hat\Gamma - \Gamma\|_2 \le \epsilon / \sqrt{1 - \mu (s - 1)}$.

    Args:
        coherence: $\mu$.
        sparsity: $s$, at most `omp_sparsity`.
        noise: $\epsilon$, the noise's norm.

    Returns:
        The bound, infinite where there is none.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> float(coherence.omp_error(0.25, 4, 0.5))
        1.0

    References:
        Donoho, Elad and Temlyakov, Stable recovery of sparse overcomplete representations in the presence of
        noise, 2006.
    """
    return _error(coherence, sparsity, noise, 1, 1)


def stability_error(coherence: Amount, sparsity: Amount, noise: Amount) -> Float[Array, "..."]:
    r"""How far apart two sparse codes of one signal are: $\le 2 \epsilon / \sqrt{1 - \mu (2 s - 1)}$.

    Both have at most $s$ entries and both represent it up to $\epsilon$. For a convolutional dictionary $s$
    is that of the fullest stripe.

    Args:
        coherence: $\mu$.
        sparsity: $s < (1 + 1 / \mu) / 2$.
        noise: $\epsilon$, a norm.

    Returns:
        The bound on the distance, infinite where there is none.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> float(coherence.stability_error(0.25, 2, 0.5))
        2.0

    References:
        Donoho, Elad and Temlyakov, Stable recovery of sparse overcomplete representations in the presence of
        noise, 2006.
    """
    return _error(coherence, sparsity, noise, 2, 4)


def basis_pursuit_error(coherence: Amount, sparsity: Amount, noise: Amount) -> Float[Array, "..."]:
    r"""The error of basis pursuit, $\min \|\Gamma\|_1$ within $\epsilon$ of the signal.

    $\|\hat\Gamma - \Gamma\|_2 \le 2 \epsilon / \sqrt{1 - \mu (4 s - 1)}$.

    Args:
        coherence: $\mu$.
        sparsity: $s \le (1 + 1 / \mu) / 4$.
        noise: $\epsilon$, the noise's norm and the constraint's.

    Returns:
        The bound on the distance, infinite where there is none.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> float(coherence.basis_pursuit_error(0.25, 1, 0.5))
        2.0

    References:
        Donoho, Elad and Temlyakov, Stable recovery of sparse overcomplete representations in the presence of
        noise, 2006.
    """
    return _error(coherence, sparsity, noise, 4, 4)


def hadamard_dirac(features: int) -> Float[Array, "atoms features"]:
    r"""The unit vectors and the Hadamard basis: twice as many atoms as features, of coherence $1 / \sqrt n$.

    Args:
        features: $n$, a power of two.

    Returns:
        Shape `(2 * features, features)`.

    Raises:
        ValueError: If the number of features is no power of two.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.mutual_coherence(coherence.hadamard_dirac(16))
        Array(0.25, dtype=float32)

    References:
        Donoho and Huo, Uncertainty principles and ideal atomic decomposition, 2001.
    """
    if features < 1 or features & (features - 1):
        raise ValueError(f"features are {features}: Hadamard's matrices are made for powers of two")
    return jnp.asarray(
        np.concatenate([np.eye(features), scipy.linalg.hadamard(features) / np.sqrt(features)]), float
    )


def gaussian(
    key: Key[Array, ""] | UInt32[Array, " words"], atoms: int, features: int
) -> Float[Array, "atoms features"]:
    """Random directions, uniform on the sphere.

    Args:
        key: A random key.
        atoms: How many.
        features: Their length.

    Returns:
        Shape `(atoms, features)`, rows of unit norm.

    Raises:
        ValueError: If a count is below 1.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import coherence
        >>> coherence.gaussian(jax.random.key(0), 8, 4).shape
        (8, 4)
    """
    _check_counts(atoms=atoms, features=features)
    values = jax.random.normal(key, (atoms, features))
    return values / jnp.linalg.norm(values, axis=-1, keepdims=True)


def grassmannian(
    key: Key[Array, ""] | UInt32[Array, " words"], atoms: int, features: int, *, steps: int = 1000
) -> Float[Array, "atoms features"]:
    r"""A frame of low coherence, by alternating projection between Gram matrices.

    One set holds those with cosines no larger than Welch's bound, the other those of tight frames: of rank
    `features` with equal eigenvalues.

    Args:
        key: A random key, for the frame to begin with.
        atoms: $m$.
        features: $n$, no more than atoms.
        steps: Alternations.

    Returns:
        Shape `(atoms, features)`, rows of unit norm.

    Raises:
        ValueError: If a count is below 1 or atoms are fewer than features.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import coherence
        >>> frame = coherence.grassmannian(jax.random.key(0), 3, 2)
        >>> abs(float(coherence.mutual_coherence(frame)) - coherence.welch_bound(3, 2)) < 1e-4
        True

    References:
        Tropp, Dhillon, Heath and Strohmer, Designing structured tight frames via an alternating projection
        method, 2005.
    """
    _check_counts(steps=steps)
    start = gaussian(key, atoms, features)
    if atoms < features:
        raise ValueError(f"{atoms} atoms do not span {features} features: take an orthonormal basis")
    bound, diagonal = welch_bound(atoms, features), jnp.eye(atoms, dtype=bool)

    def nearest_tight(gram: Array) -> Array:
        vectors = jnp.linalg.eigh(gram)[1][:, atoms - features :]
        return vectors * jnp.sqrt(atoms / features)

    def step(_: Array, frame: Array) -> Array:
        gram = jnp.matmul(frame, frame.T, precision="highest")
        return nearest_tight(jnp.where(diagonal, 1, jnp.clip(gram, -bound, bound)))

    frame = lax.fori_loop(0, steps, step, start)
    return frame / jnp.linalg.norm(frame, axis=-1, keepdims=True)
