"""Dictionaries of low coherence, and the least coherence there can be."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, RandomKey


def welch_bound(atoms: int, features: int) -> float:
    r"""Return the least mutual coherence that this many atoms can have: $\sqrt{(m - n) / (n (m - 1))}$.

    Args:
        atoms: The number $m$ of atoms.
        features: The number $n$ of features.

    Returns:
        The bound, zero for no more atoms than features.

    Raises:
        ValueError: If a number is below 1.
        TypeError: If a number is not a whole number.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.welch_bound(3, 2)
        0.5

    References:
        Welch, Lower bounds on the maximum cross correlation of signals, 1974.
    """
    atoms, features = checks.count("atoms", atoms), checks.count("features", features)
    return 0.0 if atoms <= features else float(np.sqrt((atoms - features) / (features * (atoms - 1))))


def hadamard_dirac(features: int) -> Float[Array, "atoms {features}"]:
    r"""Return the unit vectors and the Hadamard basis: twice as many atoms as features, $\mu = 1 / \sqrt n$.

    Args:
        features: The number $n$ of features, a power of two.

    Returns:
        The atoms, the unit vectors first.

    Raises:
        ValueError: If the number of features is not a power of two.
        TypeError: If it is not a whole number.

    Example:
        >>> from jaxtheory.sparse import coherence
        >>> coherence.mutual_coherence(coherence.hadamard_dirac(16))
        Array(0.25, dtype=float32)

    References:
        Donoho and Huo, Uncertainty principles and ideal atomic decomposition, 2001.
    """
    features = _power_of_two(features)
    hadamard = scipy.linalg.hadamard(features) / np.sqrt(features)
    return jnp.asarray(np.concatenate([np.eye(features), hadamard]), float)


def hadamard_dirac_operators(features: int) -> tuple[Partial, Partial]:
    r"""Return the dictionary `hadamard_dirac` as a pair of functions, by a fast transform.

    The Hadamard matrix of $n = p q$ is the Kronecker product of those of $p$ and $q$, so that a transform is
    two small products with about $2 n^{3/2}$ multiplications, where the dense dictionary takes $2 n^2$.

    Args:
        features: The number $n$ of features, a power of two.

    Returns:
        The functions `apply(codes)`, from `(..., 2 features)` to `(..., features)`, and `adjoint(signals)`,
        the way back: a pair that pursuits take for a dictionary.

    Raises:
        ValueError: If the number of features is not a power of two.
        TypeError: If it is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import coherence
        >>> apply, adjoint = coherence.hadamard_dirac_operators(16)
        >>> apply(adjoint(jnp.ones(16))).round(3)[:4]
        Array([2., 2., 2., 2.], dtype=float32)
    """
    exponent = _power_of_two(features).bit_length() - 1
    sizes = (1 << exponent // 2, 1 << exponent - exponent // 2)
    left, right = (jnp.asarray(scipy.linalg.hadamard(size) / np.sqrt(size), float) for size in sizes)
    return Partial(_apply, left, right), Partial(_adjoint, left, right)


def _power_of_two(features: int) -> int:
    features = checks.count("features", features)
    if features & (features - 1):
        raise ValueError(f"features is {features}: take a power of two")
    return features


def _transform(left: AnyArray, right: AnyArray, x: Array) -> Array:
    """The orthonormal Hadamard transform of the last axis, which is its own inverse."""
    square = x.reshape(*x.shape[:-1], len(left), len(right))
    return matmul(matmul(left, square), right).reshape(x.shape)


def _apply(left: AnyArray, right: AnyArray, codes: Real[AnyArray, "... atoms"]) -> Array:
    checks.axes("codes", codes, "...", "atoms", sizes=(2 * len(left) * len(right),))
    own, other = jnp.split(jnp.asarray(codes), 2, axis=-1)
    return own + _transform(left, right, other)


def _adjoint(left: AnyArray, right: AnyArray, signals: Real[AnyArray, "... features"]) -> Array:
    checks.axes("signals", signals, "...", "features", sizes=(len(left) * len(right),))
    signals = jnp.asarray(signals)
    return jnp.concatenate([signals, _transform(left, right, signals)], axis=-1)


def gaussian(key: RandomKey, atoms: int, features: int) -> Float[Array, "{atoms} {features}"]:
    """Draw random directions, uniform on the sphere.

    Args:
        key: The random key.
        atoms: The number of atoms.
        features: The number of features.

    Returns:
        The atoms, of unit norm.

    Raises:
        ValueError: If a number is below 1.
        TypeError: If a number is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import coherence
        >>> coherence.gaussian(jax.random.key(0), 8, 4).shape
        (8, 4)
    """
    checks.random_key("key", key)
    shape = checks.count("atoms", atoms), checks.count("features", features)
    values = jax.random.normal(key, shape)
    return values / jnp.linalg.norm(values, axis=-1, keepdims=True)


def grassmannian(
    key: RandomKey, atoms: int, features: int, *, steps: int = 1000
) -> Float[Array, "{atoms} {features}"]:
    r"""Return a frame of low coherence, by alternating projection between Gram matrices.

    One set holds those with cosines no larger than Welch's bound, the other those of tight frames: of rank
    `features` with equal eigenvalues.

    Args:
        key: The random key of the initial frame.
        atoms: The number of atoms, at least that of the features.
        features: The number of features.
        steps: The number of alternations.

    Returns:
        The atoms, of unit norm.

    Raises:
        ValueError: If a number is below 1, or atoms are fewer than features.
        TypeError: If a number is not a whole number, or `key` is not a random key.

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
    steps, features = checks.count("steps", steps), checks.count("features", features)
    atoms = checks.count("atoms", atoms, least=features)
    bound, diagonal = welch_bound(atoms, features), jnp.eye(atoms, dtype=bool)

    def nearest_tight(gram: Array) -> Array:
        vectors = jnp.linalg.eigh(gram)[1][:, atoms - features :]
        return vectors * jnp.sqrt(atoms / features)

    def step(_: Array, frame: Array) -> Array:
        gram = matmul(frame, frame.T)
        return nearest_tight(jnp.where(diagonal, 1, jnp.clip(gram, -bound, bound)))

    frame = lax.fori_loop(0, steps, step, gaussian(key, atoms, features))
    return frame / jnp.linalg.norm(frame, axis=-1, keepdims=True)
