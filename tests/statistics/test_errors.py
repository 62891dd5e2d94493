"""What the classifiers refuse, and in which words."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxtheory.statistics import affine, neighbors, softmax, validation

pytestmark = pytest.mark.usefixtures("own_errors")

ROWS, LABELS = np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1])
KEY = jax.random.key(0)
BOTH = {"affine.fit": partial(affine.fit, dimension=1), "softmax.fit": partial(softmax.fit, penalty=1.0)}
FITS = {
    **BOTH,
    "neighbors.predict": lambda features, labels, **options: neighbors.predict(
        features, labels, ROWS, neighbors=1, **options
    ),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((ROWS[0], LABELS), {}, ValueError, r"^features has the shape \(3,\): take \(n, features\) for"),
        ((ROWS[:0], LABELS[:0]), {}, ValueError, r"^features has the shape \(0, 3\): take at least one exam"),
        ((ROWS, LABELS[:3]), {}, ValueError, r"^labels has the shape \(3,\): take \(4,\) for \(n,\)$"),
        ((ROWS, LABELS), {"classes": 0}, ValueError, r"^classes is 0: take a whole number at least 1$"),
        ((ROWS, LABELS), {"classes": 2.0}, TypeError, r"^classes is 2\.0: take a whole number at least 1$"),
        ((ROWS, LABELS - 1), {}, ValueError, r"^labels run from -1 to 0: take 0 to 1 for 2 classes$"),
        ((ROWS, LABELS), {"classes": 1}, ValueError, r"^labels run from 0 to 1: take 0 to 0 for 1 classes$"),
        ((ROWS, LABELS / 2), {}, TypeError, r"^labels are float64: take whole numbers, classes from 0$"),
        ((ROWS + 1j, LABELS), {}, TypeError, r"^features is complex \(complex64\): take real numbers"),
        (("rows", LABELS), {}, TypeError, r"^features is 'rows' \(str\): take an array of numbers$"),
        ((ROWS, LABELS), {"where": LABELS[:2] == 0}, ValueError, r"^where has the shape \(2,\): take \(4,\)"),
        ((ROWS, LABELS), {"where": LABELS}, TypeError, r"^where is int64: take Booleans, one for each exam"),
    ],
)
def test_examples_that_do_not_fit_are_refused(fit, arguments, options, error, message):
    with pytest.raises(error, match=message):
        fit(*arguments, **{"classes": 2, **options})


@pytest.mark.parametrize("fit", BOTH.values(), ids=BOTH)
def test_a_class_without_examples_is_refused(fit):
    message = r"^labels hold no example of class 1: take at least one of each of the 3 classes$"
    with pytest.raises(ValueError, match=message):
        fit(ROWS, 2 * LABELS, classes=3)
    with pytest.raises(ValueError, match=r"^labels hold no example of class 1: take at least one of each o"):
        fit(ROWS, LABELS, classes=2, where=LABELS == 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: affine.fit(ROWS, LABELS, classes=2, dimension=0),
            r"^dimension is 0: take a whole number from 1 to 3$",
        ),
        (
            lambda: affine.fit(ROWS, LABELS, classes=2, dimension=4),
            r"^dimension is 4: take a whole number from 1 to 3$",
        ),
        (
            lambda: affine.fit(ROWS, LABELS, classes=2, dimension=1, capacity=1),
            r"^capacity is 1: take a whole number at least 2$",
        ),
        (
            lambda: jax.jit(partial(affine.fit, classes=2, dimension=1, capacity=0))(ROWS, LABELS),
            r"^capacity is 0: take a whole number at least 1",
        ),
        (
            lambda: softmax.fit(ROWS, LABELS, classes=2, penalty=-1.0),
            r"^penalty is -1\.0: take a number of 0 or more$",
        ),
        (
            lambda: softmax.fit(ROWS, LABELS, classes=2, penalty=float("nan")),
            r"^penalty is nan: take a number of 0 or more$",
        ),
        (
            lambda: softmax.fit(ROWS, LABELS, classes=2, penalty=1.0, tolerance=-1e-3),
            r"^tolerance is -0\.001\d*: take a number of 0 or more$",
        ),
        (
            lambda: softmax.fit(ROWS, LABELS, classes=2, penalty=1.0, max_steps=0),
            r"^max_steps is 0: take a whole number at least 1$",
        ),
        (
            lambda: neighbors.search(ROWS[0], ROWS, neighbors=1),
            r"^features has the shape \(3,\): take \(n, features\) for",
        ),
        (
            lambda: neighbors.search(ROWS, ROWS[:, :2], neighbors=1),
            r"^queries has the shape \(4, 2\): take \(\.\.\., 3\) for \(\.\.\., features\)$",
        ),
        (
            lambda: neighbors.search(ROWS, ROWS, neighbors=5),
            r"^neighbors is 5: take a whole number from 1 to 4$",
        ),
        (
            lambda: neighbors.search(ROWS, ROWS, neighbors=0),
            r"^neighbors is 0: take a whole number from 1 to 4$",
        ),
        (
            lambda: neighbors.search(ROWS, ROWS, neighbors=1, block=0),
            r"^block is 0: take a whole number at least 1$",
        ),
        (
            lambda: validation.cross_validate(lambda *_: 0.0, 4, KEY, folds=1),
            r"^folds is 1: take a whole number from 2 to 4$",
        ),
        (
            lambda: validation.cross_validate(lambda *_: 0.0, 4, KEY, folds=5),
            r"^folds is 5: take a whole number from 2 to 4$",
        ),
        (
            lambda: validation.cross_validate(lambda *_: 0.0, 4, KEY, folds=2),
            r"^losses returned the shape \(\): take one row for each of the 2 examples that are held out$",
        ),
        (
            lambda: validation.error_rate(LABELS, LABELS[:3]),
            r"^labels has the shape \(3,\): take \(\.\.\., 4\) for \(\.\.\., n\)$",
        ),
    ],
)
def test_values_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_no_random_key_is_refused():
    with pytest.raises(TypeError, match=r"^key is 0: take one random key, as jax\.random\.key\(0\)$"):
        validation.cross_validate(lambda *_: 0.0, 4, 0, folds=2)


@pytest.mark.parametrize("module", [affine, softmax])
def test_queries_of_other_features_are_refused(module):
    model = FITS[f"{module.__name__.rpartition('.')[2]}.fit"](ROWS + np.eye(4, 3), LABELS, classes=2)
    for query in (module.predict, affine.distances if module is affine else softmax.logits):
        message = r"^queries has the shape \(4, 2\): take \(\.\.\., 3\) for \(\.\.\., features\)$"
        with pytest.raises(ValueError, match=message):
            query(model, ROWS[:, :2])
        with pytest.raises(ValueError, match=r"^queries has the shape \(\): take \(\.\.\., 3\) for"):
            query(model, np.float32(1))
        with pytest.raises(TypeError, match=r"^queries is complex \(complex64\): take real numbers"):
            query(model, ROWS + 1j)


def test_affine_errors_and_dimensions_that_do_not_fit_are_refused():
    model = affine.fit(np.eye(4, 3, dtype=np.float32), LABELS, classes=2, dimension=1)
    for dimension in (2, -1):
        message = rf"^dimension is {dimension}: take a whole number from 0 to 1$"
        with pytest.raises(ValueError, match=message):
            affine.predict(model, ROWS, dimension=dimension)
    with pytest.raises(ValueError, match=r"^labels has the shape \(2,\): take \(4,\) for \(n,\)$"):
        affine.errors(model, ROWS, LABELS[:2])
    with pytest.raises(ValueError, match=r"^queries has the shape \(4, 2\): take \(n, 3\) for \(n, features"):
        affine.errors(model, ROWS[:, :2], LABELS)
    with pytest.raises(ValueError, match=r"^queries has the shape \(0, 3\): take at least one example$"):
        affine.errors(model, ROWS[:0], LABELS[:0])


def test_what_numpy_converts_is_taken():
    rows = [[0, 1], [2, 2], [5, 1], [6, 2]]
    model = affine.fit(rows, [0, 0, 1, 1], classes=2, dimension=1)
    big = np.array(rows, ">f4")
    np.testing.assert_array_equal(affine.predict(model, big), [0, 0, 1, 1])
    found = neighbors.predict(big, [0, 0, 1, 1], rows, classes=2, neighbors=1)
    np.testing.assert_array_equal(found, [0, 0, 1, 1])
    assert softmax.fit(big, [0, 0, 1, 1], classes=2, penalty=1).weights.dtype == np.float32
