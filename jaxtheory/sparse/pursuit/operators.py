"""Dictionaries as operators: matrices and pairs of functions, their products, and their units.

Inside of this package codes are `(n, atoms)` and signals `(n, features)`, one signal in each row.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, Real

from jaxtheory.core import checks, linalg
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.types import AnyArray
from jaxtheory.sparse import scale

Dictionary = Real[AnyArray, "atoms features"] | tuple[Callable[..., Any], Callable[..., Any]]
"""A matrix with one atom in each row, or the functions `(apply, adjoint)`."""


class Arguments(NamedTuple):
    """Arguments of a pursuit in the dtype that it is computed in."""

    dictionary: Any
    signals: Float[Array, "..."]
    amount: Any
    """A penalty or a tolerance, in the same dtype."""
    atoms: int
    back: Callable[[Any], Any]
    """Gives results the dtype that the caller gets."""


class Units(NamedTuple):
    """Exponents of the powers of two by which a problem is divided, so that no square over- or underflows."""

    dictionary: Int[Array, "..."]
    """That of the dictionary, or one for each atom."""
    signals: Int[Array, "n 1"]

    def codes(self, codes: Array) -> tuple[Array, Bool[Array, " n"]]:
        """Codes of the original problem from those of the divided one, and whether the dtype holds them."""
        back = scale.shifted(codes, self.signals - self.dictionary)
        return back, jnp.all(jnp.isfinite(back) & ((back != 0) == (codes != 0)), axis=1)

    def squares(self, values: Float[Array, " n"]) -> Float[Array, " n"]:
        """Turns objectives and gaps of the divided problem into those of the original one."""
        return scale.shifted(values, 2 * self.signals[:, 0])

    def penalties(self, penalty: Array) -> Array:
        """Turns penalties of the original problem into those of the divided one."""
        return scale.shifted(penalty, -(self.dictionary + self.signals))


def checked(dictionary: Any, signals: Any, name: str, amount: Any) -> Arguments:
    """Checks a dictionary and signals against each other, and converts them and an amount to one dtype."""
    if isinstance(dictionary, tuple):
        if len(dictionary) != 2 or not all(callable(part) for part in dictionary):
            kinds = ", ".join(type(part).__name__ for part in dictionary)
            raise ValueError(
                f"dictionary is a tuple of {len(dictionary)} ({kinds}): take a matrix (atoms, features) or a "
                "pair of functions (apply, adjoint)"
            )
        (signals, amount), back = real_arrays(optional=("tolerance",), signals=signals, **{name: amount})
        _check_signals(signals)
        pair = tuple(part if isinstance(part, Partial) else Partial(part) for part in dictionary)
        codes = jax.eval_shape(pair[1], signals)
        image = jax.eval_shape(pair[0], codes)
        if codes.shape[:-1] != signals.shape[:-1] or image.shape != signals.shape:
            raise ValueError(
                f"dictionary is a pair whose adjoint takes signals {signals.shape} to {codes.shape} and "
                f"whose apply takes those to {image.shape}: take functions that keep leading axes and return "
                "to the shape of the signals"
            )
        _check_atoms(codes.shape[-1])
        return Arguments(pair, signals, amount, codes.shape[-1], back)
    (dictionary, signals, amount), back = real_arrays(
        optional=("tolerance",), dictionary=dictionary, signals=signals, **{name: amount}
    )
    _check_signals(signals)
    checks.axes("dictionary", dictionary, "atoms", "features", sizes=(None, signals.shape[-1]))
    _check_atoms(len(dictionary))
    return Arguments(dictionary, signals, amount, len(dictionary), back)


def _check_signals(signals: Array) -> None:
    """Refuses signals without features."""
    checks.axes("signals", signals, "...", "features")
    if signals.shape[-1] == 0:
        raise ValueError("signals has 0 features: take at least one")


def _check_atoms(atoms: int) -> None:
    """Refuses a dictionary without atoms."""
    if atoms == 0:
        raise ValueError("dictionary has 0 atoms: take at least one")


def check_tolerance(tolerance: Any) -> None:
    """Refuses a tolerance that is not one nonnegative number."""
    shape = as_array("tolerance", tolerance).shape
    if shape:
        raise ValueError(f"tolerance has the shape {shape}: take one number for all signals")
    checks.nonnegative("tolerance", tolerance)


def check_broadcasts(name: str, shape: tuple[int, ...], codes: tuple[int, ...]) -> None:
    """Refuses a penalty of a shape that does not broadcast to that of the codes."""
    try:
        fits = np.broadcast_shapes(shape, codes) == codes
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} has the shape {shape}, which does not broadcast to that of the codes {codes}: take a "
            f"number, one for each atom ({codes[-1]},), or one for each signal with a last axis of 1"
        )


def finite_rows(signals: Float[Array, "..."]) -> tuple[Float[Array, "n features"], Bool[Array, " n"]]:
    """Signals as rows, those with infinities or NaN replaced by zeros, and which rows are finite."""
    rows = signals.reshape(math.prod(signals.shape[:-1]), signals.shape[-1])
    finite = jnp.all(jnp.isfinite(rows), axis=1)
    return jnp.where(finite[:, None], rows, 0), finite


def in_units(
    dictionary: Any, rows: Float[Array, "n features"], atoms: int, *, each: bool = False
) -> tuple[Any, Array, Units]:
    """A dictionary and signals divided by powers of two, so that their largest entries lie near one.

    Solutions of the divided problem, times powers of two, are those of the original one: derivatives take
    these numbers for constants.

    Args:
        dictionary: A matrix or a pair of functions.
        rows: The signals, all of them finite.
        atoms: The number of atoms.
        each: Whether each atom of a matrix is divided by its own power of two.

    Returns:
        The divided dictionary and signals, and what they were divided by.
    """
    of_signals = scale.exponent(rows, (1,))[:, None]
    if isinstance(dictionary, tuple):
        probe = jax.random.normal(jax.random.key(0), (1, atoms), rows.dtype)
        of_atoms = scale.exponent(dictionary[0](lax.stop_gradient(probe)), (0, 1))
        inverse = jnp.ldexp(jnp.ones((), rows.dtype), -of_atoms)
        dictionary = tuple(Partial(_scaled, part, inverse) for part in dictionary)
    else:
        of_atoms = scale.exponent(dictionary, (1,) if each else (0, 1))
        dictionary = scale.shifted(dictionary, -of_atoms[:, None] if each else -of_atoms)
    return dictionary, scale.shifted(rows, -of_signals), Units(of_atoms, of_signals)


def read_whole(dictionary: Any, rows: Float[Array, "n features"], *, each: bool = False) -> Bool[Array, " n"]:
    """Whether processors read a matrix dictionary and each signal without taking small entries for zeros."""
    whole = ~scale.flushed(rows, (1,))
    if isinstance(dictionary, tuple):
        return whole
    return whole & ~jnp.any(scale.flushed(dictionary, (1,) if each else (0, 1)))


def _scaled(function: Callable[[Array], Array], factor: Array, x: Array) -> Array:
    """A linear function times a number."""
    return function(x) * factor


def functions(dictionary: Any) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """The dictionary as `apply` and `adjoint`."""
    if isinstance(dictionary, tuple):
        return dictionary
    return Partial(_apply, dictionary), Partial(_adjoint, dictionary)


def _apply(matrix: Array, codes: Array) -> Array:
    return linalg.matmul(codes, matrix)


def _adjoint(matrix: Array, signals: Array) -> Array:
    return linalg.matmul(signals, matrix.T)


def gram_product(dictionary: Any, uses: int) -> Callable[[Array], Array]:
    """The product of codes with the Gram matrix, for about a given number of codes in each call."""
    apply, adjoint = functions(dictionary)
    if not isinstance(dictionary, tuple):
        atoms, features = dictionary.shape
        # Half the arithmetic, where that matrix is not much larger than the dictionary and used often enough.
        if atoms <= 2 * features and atoms <= 8 * uses:
            gram = linalg.matmul(dictionary, dictionary.T)
            return lambda codes: linalg.matmul(codes, gram)
    return lambda codes: adjoint(apply(codes))


def gram_curvature(dictionary: Any, atoms: int, dtype: Any) -> Float[Array, ""]:
    """An upper estimate of the largest eigenvalue of the Gram matrix; one for a dictionary of zeros."""
    product = gram_product(dictionary, 1)
    found = linalg.largest_eigenvalue(lambda v: product(v[None])[0], jax.ShapeDtypeStruct((atoms,), dtype))
    return jnp.where(found > jnp.finfo(dtype).tiny, found, 1)


def atom_norms(dictionary: Any, atoms: int, dtype: Any) -> Float[Array, " atoms"]:
    """The Euclidean norms of the atoms."""
    if not isinstance(dictionary, tuple):
        return jnp.linalg.norm(dictionary, axis=1)
    return lax.map(
        lambda i: jnp.linalg.norm(dictionary[0](jax.nn.one_hot(i, atoms, dtype=dtype))), jnp.arange(atoms)
    )


def take_atoms(
    dictionary: Any, chosen: Int[Array, " n"], atoms: int, dtype: Any
) -> Float[Array, "n features"]:
    """The atoms of given indices, one for each signal."""
    if not isinstance(dictionary, tuple):
        return dictionary[chosen]
    return dictionary[0](jax.nn.one_hot(chosen, atoms, dtype=dtype))
