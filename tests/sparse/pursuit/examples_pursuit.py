"""Rows of the table of examples: pursuits."""

from functools import wraps

import numpy as np
from jax.tree_util import Partial

from jaxtheory.core.linalg import matmul
from jaxtheory.sparse import pursuit
from tests.example_rows import CUT_SHORT, Example, float32


def _orthogonal(rng):
    """Four atoms at right angles, and a signal that needs two or three of them."""
    atoms = np.linalg.qr(rng.standard_normal((5, 5)))[0][:4]
    codes = np.array([2.0, -1.5, 1.0, 0.05]) + 0.02 * rng.standard_normal(4)
    return np.float32(atoms), np.float32(codes @ atoms)


def _oblique(rng):
    """Six atoms of five features, and a signal that is far from its minimum after a few steps."""
    return float32(rng, 6, 5), float32(rng, 5) + np.float32([3, 0, 0, 0, 0])


def _many(rng):
    """Four atoms of five features, and so many signals that ADMM and Newton's method run."""
    atoms = np.linalg.qr(rng.standard_normal((5, 5)))[0][:4] + 0.2 * rng.standard_normal((4, 5))
    return np.float32(atoms), 2 * float32(rng, 9, 5)


def _overcomplete(rng):
    """More than twice as many atoms as features, and a few signals."""
    return float32(rng, 12, 5), float32(rng, 3, 5)


def _ended(function):
    """What a solver that ran to its end returns, without its gap, which is rounding there, and its steps."""

    @wraps(function)
    def ended(*arguments, **options):
        result = function(*arguments, **options)
        return result.codes, result.objective, result.converged

    return ended


def _by_pair(function):
    """A solver with its dictionary as a pair of functions."""

    @wraps(function)
    def by_pair(atoms, *arguments, **options):
        pair = (
            Partial(lambda atoms, codes: matmul(codes, atoms), atoms),
            Partial(lambda atoms, x: matmul(x, atoms.T), atoms),
        )
        return function(pair, *arguments, **options)

    return by_pair


ENDED = _ended(pursuit.lasso)

EXAMPLES: list[Example] = [
    Example(
        pursuit.lasso,
        lambda rng: (*_oblique(rng), np.float32(0.4)),
        {"max_steps": 4, "tolerance": 1e-6},
        (1,),
        grad=CUT_SHORT,
        devices=True,
    ),
    Example(
        pursuit.lasso,
        lambda rng: (*_oblique(rng), np.float32(rng.uniform(0.3, 0.5, 6))),
        {"max_steps": 4, "tolerance": 1e-6, "nonnegative": True},
        (1,),
        grad=CUT_SHORT,
        name="nonnegative",
    ),
    Example(
        ENDED,
        lambda rng: (*_many(rng), np.float32(0.4)),
        None,
        (1,),
        (0, 1, 2),
        export=True,
        devices=True,
        name="many",
    ),
    Example(
        ENDED,
        lambda rng: (*_many(rng), np.float32(rng.uniform(0.3, 0.5, 4))),
        {"nonnegative": True},
        (1,),
        (0, 1, 2),
        name="many, nonnegative",
    ),
    Example(
        ENDED,
        lambda rng: (_many(rng)[0], 2 * float32(rng, 5), np.float32(0.4)),
        None,
        (1,),
        (0, 1, 2),
        name="one",
    ),
    Example(
        ENDED,
        lambda rng: (*_overcomplete(rng), np.float32(0.4)),
        None,
        (1,),
        (0, 1, 2),
        export=True,
        tolerance=1e-4,
        name="more atoms",
    ),
    Example(
        _by_pair(ENDED),
        lambda rng: (*_many(rng), np.float32(0.4)),
        None,
        (1,),
        (0, 1, 2),
        export=True,
        name="pair",
    ),
    Example(
        ENDED,
        lambda rng: (*_many(rng), np.float32([0.4, np.inf, 0, 0.3])),
        None,
        (1,),
        (0, 1),
        name="infinite and zero",
    ),
    Example(
        pursuit.lasso_path,
        lambda rng: (*_oblique(rng), np.float32([1.2, 0.4])),
        {"max_steps": 4, "tolerance": 1e-6},
        (1,),
        vmap="the first axis of its result is that of the penalties",
        grad=CUT_SHORT,
    ),
    Example(
        _ended(pursuit.lasso_path),
        lambda rng: (*_many(rng), np.float32([1.2, 0.4])),
        None,
        (1,),
        (0, 1, 2),
        vmap="the first axis of its result is that of the penalties",
        name="many",
    ),
    Example(
        _ended(pursuit.basis_pursuit),
        _orthogonal,
        None,
        (1,),
        (0, 1),
        export=True,
        tolerance=1e-4,
    ),
    Example(pursuit.thresholding, _orthogonal, {"sparsity": 2}, (1,), (0, 1), devices=True),
    Example(
        pursuit.orthogonal_matching_pursuit,
        _orthogonal,
        {"sparsity": 2},
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        _by_pair(pursuit.orthogonal_matching_pursuit), _orthogonal, {"sparsity": 2}, (1,), (0, 1), name="pair"
    ),
    Example(pursuit.matching_pursuit, _orthogonal, {"steps": 2}, (1,), (0, 1), devices=True),
]

NOT_TRACED: dict[str, str] = {}
