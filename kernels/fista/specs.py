"""Real shapes of FISTA, for compilation ahead of time, and small problems that devices are checked with."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

STEPS = 100


class Shape(NamedTuple):
    """Sizes of a problem."""

    signals: int
    atoms: int


class Problem(NamedTuple):
    """What the doctor solves on a device, with the fields of the lab's `Check`: no kernel imports the lab."""

    function: Callable[..., Any]
    arguments: tuple[np.ndarray, ...]
    tolerance: float = 1e-4
    """Largest difference, relative to the largest value."""


SHAPES = {
    "10,000 x 288": Shape(10_000, 288),
    "10,000 x 1,024": Shape(10_000, 1024),
    "100 x 100": Shape(100, 100),
}
"""Codes of 12 x 12 patches by twice as many atoms; the most atoms that the kernel takes; a single block."""


def operands(shape: Shape, penalties: tuple[int, ...] = ()) -> tuple[Any, ...]:
    """Shapes and dtypes of the Gram matrix, correlations, penalty and step size."""
    import jax

    sizes = ((shape.atoms, shape.atoms), (shape.signals, shape.atoms), penalties, ())
    return tuple(jax.ShapeDtypeStruct(one, np.float32) for one in sizes)


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """The programs that are expected to hold the kernel on a TPU."""
    from jaxtheory.kernels.fista import api

    solve = partial(api.gram_fista, steps=STEPS)
    nonnegative = partial(solve, nonnegative=True)
    most = SHAPES["10,000 x 1,024"]
    return {
        **{name: (solve, operands(shape)) for name, shape in SHAPES.items()},
        "10,000 x 1,024, nonnegative, a penalty for each signal": (
            nonnegative,
            operands(most, (most.signals, 1)),
        ),
    }


def problem(signals: int, atoms: int, features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Random atoms of unit length and signals of a few of them: what `fista` takes, in double precision."""
    rng = np.random.default_rng(0)
    dictionary = rng.standard_normal((atoms, features))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    codes = rng.standard_normal((signals, atoms)) * (rng.random((signals, atoms)) < 3 / atoms)
    x = codes @ dictionary + 0.01 * rng.standard_normal((signals, features))
    step_size = 1 / np.linalg.norm(dictionary, 2) ** 2
    return dictionary @ dictionary.T, x @ dictionary.T, np.asarray(0.05), np.asarray(step_size)


def checks() -> dict[str, Problem]:
    """Small problems for `jaxtheory doctor`."""
    from jaxtheory.kernels.fista import api

    return {"20 x 40": Problem(partial(api.gram_fista, steps=30), problem(20, 40, 30))}
