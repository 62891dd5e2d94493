"""Checks of arguments, with one wording for each kind of error: what was found and what is allowed.

What depends on values is checked where they are known; under `jit` it is not.
"""

import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.core.dtypes import as_array


def known(value: Any) -> bool:
    """Whether a value is at hand, rather than traced."""
    return not isinstance(value, jax.core.Tracer)


def count(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """A whole number from `least` to `most`.

    Args:
        name: The parameter's name.
        value: The argument, as the caller gave it.
        least: The smallest number allowed.
        most: The largest, if there is one.

    Returns:
        The number as Python's.

    Raises:
        TypeError: If it is not a whole number; 8.0 is not one.
        ValueError: If it is out of range.
    """
    bounds = f"at least {least}" if most is None else f"from {least} to {most}"
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {_shown(value)}: take a whole number {bounds}")
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} is {number}: take a whole number {bounds}")
    return number


def counts(name: str, value: Any, *, each: str) -> tuple[int, ...]:
    """Whole numbers, at least 1, for each of some things, such as layers, in a sequence of any length.

    Args:
        name: The parameter's name.
        value: The argument, as the caller gave it.
        each: What there is one of for each number, as "layer".

    Returns:
        The numbers as Python's.

    Raises:
        TypeError: If they are no sequence, or one is not a whole number.
        ValueError: If one is below 1.
    """
    return tuple(count(name, one) for one in entries(name, value, f"a whole number for each {each}"))


def entries(name: str, value: Any, words: str) -> tuple[Any, ...]:
    """The entries of a sequence; `words` say what to take in place of anything else."""
    try:
        found = None if isinstance(value, str | dict | set) else tuple(value)
    except TypeError:
        found = None
    if found is None:
        raise TypeError(f"{name} is {_shown(value)}: take {words}")
    return found


def sizes(name: str, value: Any, *forms: tuple[str, ...], square: bool = False) -> tuple[int, ...]:
    """Whole numbers, at least 1, for each of some axes.

    Args:
        name: The parameter's name.
        value: The argument, as the caller gave it.
        *forms: The names of the axes, such as `("height", "width")`; one of several forms, where there are
            more.
        square: Whether one number stands for two equal ones.

    Returns:
        The numbers as Python's.

    Raises:
        TypeError: If they are no sequence, or one is not a whole number.
        ValueError: If they are too few or too many, or one is below 1.
    """
    if square and np.ndim(value) == 0 and isinstance(value, int | float | np.number | np.ndarray):
        value = (value, value)
    words = " or ".join(f"({', '.join(form)}{',' * (len(form) == 1)})" for form in forms)
    words += ", or one number for a square" if square else ""
    found = entries(name, value, words)
    if len(found) not in map(len, forms):
        raise ValueError(f"{name} is {_shown(found)}: take {words}")
    return tuple(count(name, one) for one in found)


def positive(name: str, value: Any, *, one: bool = False) -> None:
    """Refuses numbers that are not above zero, NaN among them, where they are known; of one, also several."""
    _every(name, value, lambda numbers: numbers > 0, "positive numbers", one=one)


def nonnegative(name: str, value: Any, *, one: bool = False) -> None:
    """Refuses numbers below zero, and NaN, where they are known; of one, also several."""
    _every(name, value, lambda numbers: numbers >= 0, "numbers of 0 or more", one=one)


def within(name: str, value: Any, low: float | int, high: float | int, *, one: bool = False) -> None:
    """Refuses numbers outside `[low, high]`, and NaN, where they are known; of one, also several."""
    words = f"numbers from {low:g} to {high:g}"
    _every(name, value, lambda numbers: (numbers >= low) & (numbers <= high), words, one=one)


def one_of(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Refuses a word that is not among those allowed."""
    if not isinstance(value, str) or value not in allowed:
        *others, last = (repr(word) for word in allowed)
        words = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"{name} is {_shown(value)}: take {words}")


def flag(name: str, value: Any) -> bool:
    """Return a truth value as Python's; anything else, as a word that would count as true, is refused."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {_shown(value)}: take True or False")
    return bool(value)


def instance(name: str, value: Any, kind: Any, words: str) -> None:
    """Refuses what is not of a class; the words say what is, as "a bank, from scattering2d.filter_bank"."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is a {type(value).__name__}: take {words}")


def random_key(name: str, value: Any) -> None:
    """Refuses what is not a single random key."""
    is_typed = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    is_raw = getattr(value, "dtype", None) == np.uint32 and np.ndim(value) == 1
    if not is_raw and not (is_typed and np.ndim(value) == 0):
        shape = f" of shape {np.shape(value)}" if is_typed else ""
        raise TypeError(f"{name} is {_shown(value)}{shape}: take one random key, as jax.random.key(0)")


def axes(name: str, value: Any, *names: str, sizes: Sequence[int | None] = ()) -> None:
    """Refuses an array without the axes that are named at its end, or with other sizes of them.

    Args:
        name: The parameter's name.
        value: An array.
        *names: The last axes by name; a first name of `"..."` leaves leading axes free. Without names it must
            be one number.
        sizes: The sizes that these axes must have, from the last one backwards or for all; `None` leaves one
            free.

    Raises:
        ValueError: If the axes are others.
    """
    if not names:
        if np.shape(value):
            raise ValueError(f"{name} has the shape {np.shape(value)}: take one number")
        return
    free = names[0] == "..."
    last = names[1:] if free else names
    shape = np.shape(value)
    wanted = list(sizes) if sizes else [None] * len(last)
    fits = len(shape) >= len(last) if free else len(shape) == len(last)
    fits = fits and all(
        size is None or size == found for size, found in zip(wanted, shape[len(shape) - len(last) :])
    )
    if not fits:
        form = ", ".join(
            ["..."] * free + [axis if size is None else str(size) for axis, size in zip(last, wanted)]
        )
        comma = "," if len(names) == 1 else ""
        wanted_axes = f"({form}{comma}) for ({', '.join(names)}{comma})"
        raise ValueError(f"{name} has the shape {shape}: take {wanted_axes}")


def _every(name: str, value: Any, allowed: Any, words: str, *, one: bool) -> None:
    """Refuses numbers of which one is not allowed, and shows it; and several where one is wanted."""
    if one:
        axes(name, value if hasattr(value, "shape") else as_array(name, value))
    if not known(value):
        return
    numbers = np.asarray(as_array(name, value))
    if np.issubdtype(numbers.dtype, np.complexfloating):
        raise TypeError(f"{name} is complex ({numbers.dtype}): take {words}")
    fine = np.asarray(allowed(numbers))
    if not fine.all():
        worst = numbers[~fine].reshape(-1)[0]
        held = f"is {worst}" if numbers.ndim == 0 else f"holds {worst}"
        raise ValueError(f"{name} {held}: take {words if numbers.ndim else _one(words)}")


def _one(words: str) -> str:
    """Words for numbers as words for one of them: 'positive numbers' as 'a positive number'."""
    return f"a {words.replace('numbers', 'number', 1)}"


def _shown(value: Any) -> str:
    """A value in at most forty characters, or its type."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"a {type(value).__name__}"
