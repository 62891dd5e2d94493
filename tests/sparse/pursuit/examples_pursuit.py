"""Rows of the table of examples: pursuits."""

import numpy as np

from jaxtheory.sparse import pursuit
from tests.example_rows import AT_THE_MINIMUM, CUT_SHORT, Example, float32


def _pursued(rng):
    """Four atoms at right angles, and a signal that needs two or three of them."""
    atoms = np.linalg.qr(rng.standard_normal((5, 5)))[0][:4]
    codes = np.array([2.0, -1.5, 1.0, 0.05]) + 0.02 * rng.standard_normal(4)
    return np.float32(atoms), np.float32(codes @ atoms)


def _oblique(rng):
    """Six atoms of five features, and a signal that is far from its minimum after a few steps."""
    return float32(rng, 6, 5), float32(rng, 5) + np.float32([3, 0, 0, 0, 0])


EXAMPLES: list[Example] = [
    # Cut short, all precisions do the same; at the minimum, a gap is the rounding itself.
    Example(
        pursuit.lasso,
        lambda rng: (*_oblique(rng), np.float32(0.4)),
        {"max_steps": 4},
        (1,),
        grad=CUT_SHORT,
        devices=True,
    ),
    Example(
        pursuit.lasso,
        lambda rng: (*_oblique(rng), np.float32(rng.uniform(0.3, 0.5, 6))),
        {"max_steps": 4, "nonnegative": True},
        (1,),
        grad=CUT_SHORT,
        name="nonnegative",
    ),
    Example(
        pursuit.lasso,
        lambda rng: (*_pursued(rng), np.float32(0.4)),
        {"tolerance": 1e-14},
        (1,),
        (0, 1, 2),
        jit=AT_THE_MINIMUM,
        vmap=AT_THE_MINIMUM,
        x64=AT_THE_MINIMUM,
        name="minimum",
    ),
    Example(
        pursuit.lasso_path,
        lambda rng: (*_oblique(rng), np.float32([1.2, 0.4])),
        {"max_steps": 4},
        (1,),
        vmap="the first axis of its result is that of the penalties",
        grad=CUT_SHORT,
    ),
    Example(
        pursuit.lasso_path,
        lambda rng: (*_pursued(rng), np.float32([1.2, 0.4])),
        {"tolerance": 1e-14},
        (1,),
        (0, 1, 2),
        jit=AT_THE_MINIMUM,
        vmap=AT_THE_MINIMUM,
        x64=AT_THE_MINIMUM,
        name="minimum",
    ),
    Example(
        pursuit.basis_pursuit,
        _pursued,
        None,
        (1,),
        jit=AT_THE_MINIMUM,
        vmap=AT_THE_MINIMUM,
        grad="stops as soon as the signal is met: tests/sparse holds its codes against linear programming",
        x64=AT_THE_MINIMUM,
    ),
    Example(pursuit.thresholding, _pursued, {"sparsity": 2}, (1,), (0, 1), devices=True),
    Example(pursuit.orthogonal_matching_pursuit, _pursued, {"sparsity": 2}, (1,), (0, 1), devices=True),
    Example(pursuit.matching_pursuit, _pursued, {"steps": 2}, (1,), (0, 1), devices=True),
]

NOT_TRACED: dict[str, str] = {}
