r"""Filters of signals for which guarantees hold: of little coherence, in each layer of a multilayer model.

The first layer may be a `lapped_transform`, orthonormal at shifts by its stride, that is made as coherent as
wanted by `perturb`. The second one may be `congruences`, whose atoms have few entries that seldom meet.

Conventions: filters of signals are `(length, channels, atoms)`, with atoms of unit norm.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.sparse import convolutional
from jaxtheory.sparse.multilayer.norms import coherences

SEARCH_STEPS = 20
"""The number of steps in which the size of a perturbation is found."""


def lapped_transform(atoms: int) -> Float[Array, "length 1 {atoms}"]:
    r"""Return the modulated lapped transform: an orthonormal basis of signals at shifts by `atoms`.

    $d_k(n) = \sqrt{2 / m}\, \sin(\pi (n + \frac12) / 2 m) \cos(\frac{\pi}{m} (n + \frac{m + 1}{2})
    (k + \frac12))$ for $0 \le n < 2 m$, with $m$ atoms.

    Args:
        atoms: The number $m$ of atoms, which is the stride at which they are orthonormal.

    Returns:
        The filters, twice as long as the stride.

    Raises:
        ValueError: If the number is below 1.
        TypeError: If it is not a whole number.

    Example:
        >>> from jaxtheory.sparse import multilayer
        >>> filters = multilayer.lapped_transform(4)
        >>> bool(multilayer.coherences([filters], strides=4)[0] < 1e-6)
        True

    References:
        Malvar, Signal processing with lapped transforms, 1992.
    """
    m = checks.count("atoms", atoms)
    n, k = np.arange(2 * m)[:, None], np.arange(m)
    window = np.sqrt(2 / m) * np.sin(np.pi * (n + 0.5) / (2 * m))
    return jnp.asarray((window * np.cos(np.pi / m * (n + (m + 1) / 2) * (k + 0.5)))[:, None], float)


def perturb(
    filters: Real[AnyArray, "length channels atoms"], mu: RealScalar, key: RandomKey, *, stride: int = 1
) -> Float[Array, "length channels atoms"]:
    """Add noise to filters, scaled so that they reach a given coherence.

    Args:
        filters: The filters, less coherent than wanted.
        mu: The mutual coherence that is wanted, above 0 and well below 1.
        key: The random key of the noise.
        stride: The distance between neighboring positions of an atom.

    Returns:
        The filters with noise, of unit norm.

    Raises:
        ValueError: If the coherence is not between 0 and 1, or the stride is below 1.
        TypeError: If filters are not real, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> filters = multilayer.perturb(multilayer.lapped_transform(4), 0.1, jax.random.key(0), stride=4)
        >>> multilayer.coherences([filters], strides=4).round(3).tolist()
        [0.10000000149011612]
    """
    checks.random_key("key", key)
    checks.positive("mu", mu, one=True)
    checks.within("mu", mu, 0, 1, one=True)
    (filters, mu), back = real_arrays(filters=filters, mu=mu)
    checks.axes("filters", filters, "length", "channels", "atoms")
    checks.axes("mu", mu)
    return back(_perturbed(filters, mu, key, stride=checks.count("stride", stride)))


@partial(jax.jit, static_argnames=("stride",))
def _perturbed(filters: Array, mu: Array, key: RandomKey, *, stride: int) -> Array:
    noise = jax.random.normal(key, filters.shape, filters.dtype)

    def moved(size: Array) -> Array:
        return convolutional.normalize(filters + size * noise)

    def closer(_: Array, size: Array) -> Array:
        return size * mu / coherences([moved(size)], strides=stride)[0]

    # The coherence is about proportional to the noise.
    return moved(lax.fori_loop(0, SEARCH_STEPS, closer, mu / 4))


def congruences(key: RandomKey, atoms: int, *, spacing: int = 2) -> Float[Array, "length {atoms} {atoms}"]:
    r"""Return atoms with one entry in each channel that share at most one, whatever the shift.

    Atom $a$ has its entry of channel $c$, both counted from 1, at the place $a c$ modulo the prime number
    `atoms` + 1, times the spacing. The entries of two atoms are $(a - b) c$ apart modulo that prime: at each
    distance once. So the coherence is one over the number of atoms.

    Args:
        key: The random key of the entries' signs.
        atoms: The number of atoms, and of channels: a prime number less one.
        spacing: The distance between neighboring places of entries.

    Returns:
        The filters, with entries of one size.

    Raises:
        ValueError: If `atoms` is not a prime number less one, or the spacing is below 1.
        TypeError: If a number is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> filters = multilayer.congruences(jax.random.key(0), 10)
        >>> filters.shape, multilayer.coherences([filters]).round(3).tolist()
        ((21, 10, 10), [0.10000000149011612])
    """
    checks.random_key("key", key)
    atoms, spacing = checks.count("atoms", atoms), checks.count("spacing", spacing)
    prime = atoms + 1
    if any(prime % n == 0 for n in range(2, prime)):
        raise ValueError(f"atoms is {atoms}: take a prime number less one, such as 16")
    c, a = np.indices((atoms, atoms)) + 1
    signs = jax.random.rademacher(key, (atoms, atoms), jnp.result_type(float))
    filters = jnp.zeros((spacing * atoms + 1, atoms, atoms))
    return filters.at[spacing * (a * c % prime), c - 1, a - 1].set(signs / np.sqrt(atoms))
