"""Predicates against SciPy's labels, and orders against theorems, enumeration and each other."""

import dataclasses
import itertools
import re
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from scipy import ndimage

from jaxtheory.networks import predicates
from jaxtheory.networks.predicates import programs, tables

BOXES = np.array([[0, 0, 0, 0], [1, 1, 1, 1]])


def all_figures(height, width):
    return tables.figures_of(np.arange(1 << height * width), (height, width))


@pytest.mark.parametrize("shape", [(3, 3), (1, 6), pytest.param((2, 5), marks=pytest.mark.beyond)])
def test_topology_is_that_of_labels(shape):
    figures = all_figures(*shape)
    parts = np.array([ndimage.label(one)[1] for one in figures])
    corners = np.ones((3, 3))
    holes = np.array([ndimage.label(~np.pad(one, 1), corners)[1] - 1 for one in figures])
    np.testing.assert_array_equal(predicates.connected(figures), parts <= 1)
    np.testing.assert_array_equal(predicates.euler_number(figures), parts - holes)
    assert [bool(predicates.connected(one)) for one in figures[:40]] == (parts[:40] <= 1).tolist()


@pytest.mark.parametrize("shape", [(7, 7), (12, 9)])
def test_large_figures_are_flooded(rng, shape):
    figures = rng.uniform(size=(20, *shape)) < 0.75
    parts = [ndimage.label(one)[1] for one in figures]
    np.testing.assert_array_equal(
        predicates.connected(figures.reshape(4, 5, *shape)).ravel(), np.array(parts) <= 1
    )
    assert bool(predicates.connected(figures[3])) == (parts[3] <= 1)


def test_counts_and_boxes(rng):
    figures = rng.uniform(size=(3, 30, 2, 4)) < 0.4
    sizes = figures.sum((-2, -1))
    np.testing.assert_array_equal(predicates.parity(figures), sizes % 2 == 1)
    np.testing.assert_array_equal(predicates.at_least(figures, points=3), sizes >= 3)
    np.testing.assert_array_equal(predicates.exactly(figures, points=3), sizes == 3)
    np.testing.assert_array_equal(predicates.one_in_each_box(figures, boxes=BOXES), figures.any(-1).all(-1))


@pytest.mark.parametrize("points", [2, 3, 5])
def test_parity_has_the_order_of_its_points_and_exact_coefficients(points):
    assert predicates.order(predicates.parity, (1, points), batched=True) == points
    form = predicates.linear_form(predicates.parity, (points,), order=points, smallest=True)
    # The only form with values 1 and -1: (-1)^(|S| + 1) 2^|S|.
    sizes = form.masks.sum(1)
    np.testing.assert_allclose(form.coefficients, -((-2.0) ** sizes), rtol=1e-6)
    assert form.largest == pytest.approx(2**points, rel=1e-6)


def test_counting_has_order_one_or_two():
    count = {"shape": (2, 2), "batched": True}
    assert {predicates.order(partial(predicates.at_least, points=M), **count) for M in range(1, 5)} == {1}
    assert {predicates.order(partial(predicates.exactly, points=M), **count) for M in range(1, 4)} == {2}
    assert predicates.order(partial(predicates.at_least, points=5), **count) == 0


@pytest.mark.parametrize(("boxes", "order"), [(1, 1), (2, 2)])
def test_one_in_a_box_has_the_order_of_its_boxes(boxes, order):
    labels = np.repeat(np.arange(boxes), 4 * boxes**2).reshape(boxes, -1)
    predicate = partial(predicates.one_in_each_box, boxes=labels)
    assert predicates.order(predicate, labels.shape, boxes=labels, batched=True) == order
    none = predicates.linear_form(predicate, labels.shape, boxes=labels, order=order - 1).certificate
    assert predicates.imbalance(predicate, none, order=order - 1) == 0
    assert predicates.imbalance(predicate, none, order=order) > 0


def test_boxes_give_what_all_figures_give():
    predicate = partial(predicates.one_in_each_box, boxes=BOXES)
    for options in ({}, {"boxes": BOXES}):
        assert predicates.order(predicate, (2, 4), batched=True, **options) == 2
    form = predicates.linear_form(predicate, (2, 4), order=2, smallest=True, batched=True)
    other = predicates.linear_form(predicate, (2, 4), order=2, smallest=True, batched=True, boxes=BOXES)
    assert form.largest == pytest.approx(other.largest, rel=1e-5)


@pytest.mark.parametrize(("shape", "order"), [((2, 2), 2), ((2, 4), 2), ((2, 5), 3), ((3, 3), 3)])
def test_connectedness_grows_with_the_retina(shape, order):
    assert predicates.order(predicates.connected, shape, batched=True) == order
    form = predicates.linear_form(predicates.connected, shape, order=order, batched=True)
    figures = all_figures(*shape)
    # Its values on all figures, mask by mask of all orbits, from the table of products.
    program = programs.Table(
        predicates.connected(figures), shape, tables.symmetries(predicates.connected(figures), shape), order
    )
    values = program.rows(np.arange(len(figures))) @ form.coefficients
    assert values[predicates.connected(figures)].min() >= 1 - 1e-9
    assert values[~predicates.connected(figures)].max() <= -1 + 1e-9


def test_rows_count_the_masks_of_each_orbit():
    shape, group = (2, 3), tables.symmetries(predicates.connected(all_figures(2, 3)), (2, 3))
    program = programs.Table(predicates.connected(all_figures(2, 3)), shape, group, 2)
    assert len(group) == 4
    assert program.sizes.sum() == 1 + 6 + 15
    orbits = [{tuple(mask.ravel()[one]) for one in group} for mask in program.masks]
    assert [len(one) for one in orbits] == program.sizes.tolist()
    figure = np.array([1, 1, 0, 0, 1, 1], bool)
    within = [sum(bool(np.all(figure >= np.array(mask))) for mask in orbit) for orbit in orbits]
    assert program.rows(figure @ (1 << np.arange(6))[:, None])[0].tolist() == within
    least, codes, values = program.worst(np.arange(program.columns, dtype=float))
    every = program.rows(np.arange(64)) @ np.arange(program.columns)
    signed = np.where(program.table, every, -every)
    assert least == signed.min()
    np.testing.assert_array_equal(values, signed[codes])


def test_a_change_of_unknowns_is_that_of_products_of_signs():
    figures = all_figures(2, 3)
    table = predicates.connected(figures)
    program = programs.Table(table, (2, 3), tables.symmetries(table, (2, 3)), 2)
    signs = 2.0 * figures.reshape(64, 6) - 1
    expected = np.stack(
        [
            np.mean([np.prod(signs[:, mask.ravel()[one]], 1) for one in program.group], axis=0) * size**0.5
            for mask, size in zip(program.masks, program.sizes)
        ],
        axis=1,
    )
    np.testing.assert_allclose(program.rows(np.arange(64)) @ program.change(), expected, atol=1e-9)
    # By boxes: sums of products over the masks that take so many points from each box.
    boxes = np.array([[0, 0, 1], [1, 0, 1]])
    counts = programs.Counts(np.zeros((4, 4), bool), boxes, 2)
    signs = 2.0 * counts.figures(np.arange(16)).reshape(16, 6) - 1
    sums = [
        sum(
            np.prod(signs[:, list(mask)], axis=1)
            for size in range(3)
            for mask in itertools.combinations(range(6), size)
            if [sum(boxes.ravel()[list(mask)] == box) for box in range(2)] == [*taken]
        )
        for taken in programs.chosen([3, 3], 2)
    ]
    expected = np.stack(sums, axis=1) / np.sqrt(counts.sizes)
    np.testing.assert_allclose(counts.rows(np.arange(16)) @ counts.change(), expected, atol=1e-9)


def test_symmetries_are_those_of_the_predicate():
    square = predicates.connected(all_figures(3, 3))
    assert len(tables.symmetries(square, (3, 3))) == 8
    torus = all_figures(2, 3)[:, :, :2].any(-1).all(-1)
    assert len(tables.symmetries(torus, (2, 3))) == 4  # rows, and the two columns that count, changed about
    assert len(tables.symmetries(predicates.parity(all_figures(2, 3)), (2, 3))) == 12
    assert tables.is_counting(predicates.parity(all_figures(2, 3)), 6)
    first = all_figures(2, 2)[:, 0, 0]
    assert len(tables.symmetries(first, (2, 2))) == 2
    assert not tables.is_counting(first, 4)


def test_certificates_prove_themselves():
    found = predicates.linear_form(predicates.connected, (2, 5), order=2)
    assert not found.realizable
    assert found.coefficients.tolist() == [0] * len(found.sizes)
    certificate = found.certificate
    assert sum(certificate.weights) == 1
    assert min(certificate.weights) > 0
    assert predicates.imbalance(predicates.connected, certificate, order=2) == 0
    assert predicates.imbalance(predicates.connected, certificate, order=3, batched=True) > 0
    # Another weight, another predicate, fewer permutations: no certificate.
    first, second, *rest = certificate.weights
    moved = dataclasses.replace(certificate, weights=(first + second / 2, second / 2, *rest))
    assert predicates.imbalance(predicates.connected, moved, order=2) > 0
    assert predicates.imbalance(predicates.parity, certificate, order=2) > 0
    alone = dataclasses.replace(certificate, group=certificate.group[:1])
    assert isinstance(predicates.imbalance(predicates.connected, alone, order=2), Fraction)
    assert predicates.imbalance(predicates.connected, alone, order=2) > 0


def test_a_retina_that_is_too_large_says_how_large_its_program_is(own_errors):
    message = (
        "shape is (6, 6): the linear program of masks of at most 3 points has 68,719,476,736 figures and "
        "7,807 unknowns, of which 33,554,432 and 5,000 can be had: take a smaller retina, or boxes in which "
        "points may be permuted"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        predicates.linear_form(predicates.connected, (6, 6), order=3)
    with pytest.raises(ValueError, match=r"^shape is \(28, 28\): .* 1 points has [\d,]+ figures and 785 unk"):
        predicates.order(predicates.connected, (28, 28))
    with pytest.raises(
        ValueError, match=r"^shape is \(4, 4\): .* 8 points has 65,536 figures and 9,801 unkn"
    ):
        predicates.linear_form(lambda x: x[:, 0, 0] & x[:, 0, 3], (4, 4), order=8, batched=True)
    boxes = np.arange(36).reshape(6, 6)
    with pytest.raises(
        ValueError, match=r"^shape is \(6, 6\): .* 1 points has 68,719,476,736 figures and 37 u"
    ):
        predicates.order(predicates.connected, (6, 6), boxes=boxes)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"shape": (2, 2, 2)}, ValueError, r"^shape is \(2, 2, 2\): take \(height, width\) or \(length,\)$"),
        ({"order": -1}, ValueError, r"^order is -1: take a whole number at least 0$"),
        ({"batched": 1}, TypeError, r"^batched is 1: take True or False$"),
        ({"smallest": "yes"}, TypeError, r"^smallest is 'yes': take True or False$"),
        (
            {"boxes": [[0, 1]]},
            ValueError,
            r"^boxes has the shape \(1, 2\): take \(2, 2\), the shape of the re",
        ),
        ({"boxes": np.eye(2)}, TypeError, r"^boxes is float64: take whole numbers, the box of each point$"),
        (
            {"boxes": 2 * np.eye(2, dtype=int)},
            ValueError,
            r"^boxes are numbered 0, 2: take 0, 1, \.\.\. with",
        ),
        (
            {"boxes": np.zeros((2, 2), int)},
            ValueError,
            r"^predicate changes where points are permuted within ",
        ),
        (
            {"predicate": lambda x: x.sum()},
            ValueError,
            r"^predicate returns int64 of shape \(\): take a func",
        ),
        (
            {"predicate": lambda x: x[0] > 0},
            ValueError,
            r"^predicate returns bool of shape \(2,\): take a fu",
        ),
        (
            {"batched": True, "predicate": np.all},
            ValueError,
            r"^predicate returns bool of shape \(\): .* \(16,\)$",
        ),
    ],
)
def test_what_does_not_fit_is_refused(own_errors, options, error, message):
    arguments = {"predicate": predicates.connected, "shape": (2, 2), "order": 1} | options
    with pytest.raises(error, match=message):
        predicates.linear_form(**arguments)


def test_boxes_of_another_retina_are_refused(own_errors):
    with pytest.raises(
        ValueError, match=r"^boxes has the shape \(2, 4\): take \(2, 2\) for \(height, width\)$"
    ):
        predicates.one_in_each_box(np.ones((2, 2), bool), boxes=BOXES)
