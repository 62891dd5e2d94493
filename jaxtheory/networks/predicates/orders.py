"""The order of a predicate: the least size of masks for which the linear program has a solution."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import Integers
from jaxtheory.networks.perceptron.separation import exact_weights, widest
from jaxtheory.networks.predicates import programs, tables
from jaxtheory.networks.predicates.certificates import Certificate

MOST_FIGURES, MOST_MASKS = 1 << 25, 5000
"""The largest numbers of figures, and of orbits of masks, of a linear program."""
NEW, KEPT = 1000, 4000
"""The largest numbers of rows that are added at a time, and that are kept from before."""
NONE = 1e-7
"""The tolerance of HiGHS: a smaller margin may be none, which exact weights have to confirm."""
RELATIVE = 1e-7
"""How far from the smallest the largest coefficient may be."""
ARRANGED = 64
"""The number of random figures whose points are permuted, to see whether the predicate allows it."""

Program = programs.Table | programs.Counts


@dataclass(frozen=True, eq=False)
class LinearForm:
    """A linear form in masks whose sign is a predicate, or the certificate that there is none."""

    realizable: bool
    """Whether there is one."""
    masks: Bool[np.ndarray, "orbits ..."]
    """A mask of each orbit, true at its points; the first is empty, and its coefficient is the threshold."""
    sizes: Int[np.ndarray, " orbits"]
    """The numbers of masks of the orbits."""
    coefficients: Float[np.ndarray, " orbits"]
    """The coefficient of each mask of an orbit, with which values are at least 1 where the predicate holds
    and at most -1 elsewhere, on all figures; zero where there is no form."""
    certificate: Certificate | None
    """The certificate, where there is no form."""

    @property
    def largest(self) -> float:
        """The largest size of a coefficient."""
        return float(np.abs(self.coefficients).max())


def order(
    predicate: Callable, shape: tuple[int, ...], *, boxes: Integers | None = None, batched: bool = False
) -> int:
    """Return the order of a predicate: the least k for which masks of at most k points are enough.

    Both sides of the answer are checked: the linear form of order k on all figures, and the certificate that
    there is none of order k - 1 in rational numbers.

    Args:
        predicate: The predicate, a function of a Boolean array of the shape of the retina.
        shape: The shape of the retina, `(height, width)` or `(length,)`, of at most 25 points without boxes.
        boxes: The number of each point's box, from 0, where the predicate depends on the numbers of points in
            the boxes only; the numbers of points that boxes can have are gone through in place of figures.
        batched: Whether the predicate takes figures with a leading axis, as those of this module do, which is
            faster.

    Returns:
        The order.

    Raises:
        TypeError: If the shape or boxes are not whole numbers, or `batched` is not a truth value.
        ValueError: If the linear program is too large (the message says how large it would be), boxes do not
            fit the shape or the predicate, or the predicate returns no truth values.
        ArithmeticError: If double precision does not decide.

    Example:
        >>> from jaxtheory.networks import predicates
        >>> predicates.order(predicates.parity, (2, 2))
        4
        >>> predicates.order(predicates.connected, (2, 3))
        2

    References:
        Marvin Minsky and Seymour Papert, "Perceptrons: an introduction to computational geometry", 1969.
    """
    make = _programs(predicate, shape, boxes, 1, batched)
    return next(size for size in itertools.count() if _solved(make(size)).realizable)


def linear_form(
    predicate: Callable,
    shape: tuple[int, ...],
    *,
    order: int,
    smallest: bool = False,
    boxes: Integers | None = None,
    batched: bool = False,
) -> LinearForm:
    r"""Find a linear form in masks of at most k points whose sign is a predicate, or prove that none is.

    $\sum_S a_S [S \subseteq X] \ge 1$ where the predicate holds of the figure X, and $\le -1$ where it does
    not. The linear program is solved on some figures, and those on which its solution is worst are added
    until it holds on all, or until there is none on those that were added.

    Args:
        predicate: The predicate, a function of a Boolean array of the shape of the retina.
        shape: The shape of the retina, `(height, width)` or `(length,)`, of at most 25 points without boxes.
        order: The largest number k of points of a mask, at least 0.
        smallest: Whether the largest size of a coefficient is made the smallest that there is.
        boxes: The number of each point's box, from 0, where the predicate depends on the numbers of points in
            the boxes only.
        batched: Whether the predicate takes figures with a leading axis.

    Returns:
        The form or the certificate.

    Raises:
        TypeError: If the shape, the order or boxes are not whole numbers, or a flag is not a truth value.
        ValueError: If the linear program is too large (the message says how large it would be), the order is
            below 0, boxes do not fit the shape or the predicate, or the predicate returns no truth values.
        ArithmeticError: If double precision does not decide.

    Example:
        >>> from jaxtheory.networks import predicates
        >>> form = predicates.linear_form(predicates.parity, (1, 2), order=2, smallest=True)
        >>> form.coefficients.round(6).tolist()  # of none, one and both points
        [-1.0, 2.0, -4.0]
        >>> predicates.linear_form(predicates.parity, (1, 2), order=1).realizable
        False

    References:
        Marvin Minsky and Seymour Papert, "Perceptrons: an introduction to computational geometry", 1969.
    """
    order = checks.count("order", order, least=0)
    smallest = checks.flag("smallest", smallest)
    return _solved(_programs(predicate, shape, boxes, order, batched)(order), smallest=smallest)


def _programs(
    predicate: Callable, shape: Any, boxes: Any, order: int, batched: bool
) -> Callable[[int], Program]:
    """A function that makes the program of an order, once the predicate is tabulated."""
    shape = checks.sizes("shape", shape, ("height", "width"), ("length",))
    batched = checks.flag("batched", batched)
    points = math.prod(shape)
    masks = [math.comb(points, size) for size in range(min(order, points) + 1)]
    if boxes is not None:
        boxes = _boxes(boxes, shape)
        counted = np.bincount(boxes.ravel()) + 1
        figures = math.prod(counted.tolist())
        _check_size(shape, figures, _unknowns(counted, order), order)
        truths = _of_counts(predicate, boxes, counted, batched)
    else:
        if 1 << points > MOST_FIGURES:
            _check_size(shape, 1 << points, sum(masks), order)
        table = tables.truth_table(predicate, shape, batched=batched)
        boxes = np.zeros(shape, int) if tables.is_counting(table, points) else None
        truths = table[(1 << np.arange(points + 1)) - 1]
        group = tables.symmetries(table, shape) if boxes is None else None

    def make(size: int) -> Program:
        size = min(size, points)
        if boxes is not None:
            return programs.Counts(truths, boxes, size)
        masks = sum(math.comb(points, one) for one in range(size + 1))
        _check_size(shape, len(table), -(-masks // len(group)), size)
        return programs.Table(table, shape, group, size)

    return make


def _check_size(shape: tuple[int, ...], figures: int, masks: int, order: int) -> None:
    if figures > MOST_FIGURES or masks > MOST_MASKS:
        raise ValueError(
            f"shape is {shape}: the linear program of masks of at most {order} points has {figures:,} "
            f"figures and {masks:,} unknowns, of which {MOST_FIGURES:,} and {MOST_MASKS:,} can be had: "
            "take a smaller retina, or boxes in which points may be permuted"
        )


def _unknowns(counted: np.ndarray, order: int) -> int:
    """The number of ways to take at most `order` points from boxes."""
    ways = np.ones(1, object)
    for number in counted.tolist():
        ways = np.convolve(ways, np.ones(number, object))[: order + 1]
    return int(ways.sum())


def _boxes(boxes: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Boxes that fit the retina."""
    boxes = np.asarray(as_array("boxes", boxes))
    if boxes.shape != shape:
        raise ValueError(f"boxes has the shape {boxes.shape}: take {shape}, the shape of the retina")
    if not np.issubdtype(boxes.dtype, np.integer):
        raise TypeError(f"boxes is {boxes.dtype}: take whole numbers, the box of each point")
    found = np.unique(boxes)
    if not np.array_equal(found, np.arange(len(found))):
        raise ValueError(f"boxes are numbered {', '.join(map(str, found[:6]))}: take 0, 1, ... without gaps")
    return boxes.astype(int)


def _of_counts(predicate: Callable, boxes: np.ndarray, counted: np.ndarray, batched: bool) -> np.ndarray:
    """Whether a predicate holds, by the numbers of points in boxes."""
    counts = np.indices(counted).reshape(len(counted), -1).T
    parts = np.array_split(counts, -(-len(counts) // tables.CHUNK))
    truths = np.concatenate(
        [tables.truths(predicate, programs.arranged(part, boxes), batched=batched) for part in parts]
    )
    rng = np.random.default_rng(0)
    some = rng.integers(0, len(counts), ARRANGED)
    figures, flat = programs.arranged(counts[some], boxes), boxes.ravel()
    moved = figures.reshape(ARRANGED, -1).copy()
    for box in range(len(counted)):
        moved[:, flat == box] = rng.permuted(moved[:, flat == box], axis=1)
    if not np.array_equal(
        tables.truths(predicate, moved.reshape(figures.shape), batched=batched), truths[some]
    ):
        raise ValueError(
            "predicate changes where points are permuted within boxes: take other boxes, or none"
        )
    return truths.reshape(counted)


def _solved(program: Program, *, smallest: bool = False) -> LinearForm:
    """The form or the certificate, by cutting planes."""
    change = np.eye(program.columns) if smallest else program.change()
    codes, before = program.start(), np.inf
    while True:
        rows = program.rows(codes) * np.where(program.truths(codes), 1, -1)[:, None]
        margin, unknowns, shares = widest(rows @ change)
        if margin < NONE:
            return _none(program, codes, rows, shares)
        coefficients = change @ unknowns
        least, worst, values = program.worst(coefficients)
        rounding = program.terms * np.finfo(float).eps * np.abs(coefficients).max()
        if least > max(rounding, (1 - RELATIVE) * margin if smallest else 0):
            return LinearForm(True, program.masks, program.sizes, coefficients / least, None)
        new = worst[np.argsort(values)][: np.sum(values < (1 - RELATIVE / 2) * margin)]
        new = new[~np.isin(new, codes)][:NEW]
        if not len(new):
            raise ArithmeticError(
                f"a margin of {margin:.1g} is not told from zero in double precision: take a smaller retina"
            )
        if margin < before:
            # The margin falls, so that no rows are gone through again and again; those far off are let go.
            codes = codes[np.argsort(rows @ coefficients)[:KEPT]]
        codes, before = np.concatenate([codes, new]), min(margin, before)


def _none(program: Program, codes: np.ndarray, rows: np.ndarray, shares: np.ndarray) -> LinearForm:
    """The certificate that there is no form, in rational numbers."""
    weights = exact_weights(rows, shares)
    if not weights:
        raise ArithmeticError(
            f"the linear program of {rows.shape[0]} rows and {rows.shape[1]} columns has a margin of zero in "
            "double precision, which rational numbers do not confirm: take a smaller retina"
        )
    kept = np.array([weight > 0 for weight in weights])
    certificate = Certificate(
        program.figures(codes[kept]), tuple(weight for weight in weights if weight > 0), program.group,
        program.boxes,
    )  # fmt: skip
    return LinearForm(False, program.masks, program.sizes, np.zeros(program.columns), certificate)
