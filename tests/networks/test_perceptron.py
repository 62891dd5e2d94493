"""The perceptron against the rule written out, its bound, and scikit-learn; separators against both sides."""

from fractions import Fraction

import jax
import numpy as np
import pytest
from sklearn.svm import SVC

from jaxtheory.networks import perceptron
from jaxtheory.statistics import implicit_bias

PATTERNS, XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])


def separable(rng, n, d, gap=0.3):
    """Points on both sides of a plane that is not through the origin."""
    normal = rng.standard_normal(d)
    normal /= np.linalg.norm(normal)
    x, y = rng.standard_normal((n, d)), np.arange(n) % 2
    x += ((2 * y - 1) * (gap + np.abs(x @ normal)) - x @ normal)[:, None] * normal
    return x + 2 * normal, y


def plain(x, y, order, passes):
    """Rosenblatt's rule, example by example: all weights, after each."""
    vectors = (2 * y - 1)[:, None] * np.column_stack([x, np.ones(len(x))])
    weights, mistakes, kept = np.zeros(vectors.shape[1]), 0, []
    done = 0
    while done < passes:
        before, done = mistakes, done + 1
        for row in order:
            if vectors[row] @ weights <= 0:
                weights, mistakes = weights + vectors[row], mistakes + 1
            kept.append(weights)
        if mistakes == before:
            break
    return np.array(kept), mistakes, done


@pytest.mark.parametrize("passes", [2, 1000])
def test_the_rule_is_rosenblatts(rng, x64, passes):
    x, y = separable(rng, 12, 3)
    order = rng.permutation(12)
    kept, mistakes, done = plain(x, y, order, passes)
    for variant, expected in (("last", kept[-1]), ("average", kept.mean(0))):
        found = perceptron.fit(x, y, rows=order, variant=variant, max_passes=passes)
        np.testing.assert_allclose(np.append(found.weights, found.bias), expected, rtol=1e-12, atol=1e-12)
        assert (found.mistakes, found.passes) == (mistakes, done)
        assert bool(found.converged) == (passes > 2)


def test_mistakes_stay_below_the_bound_of_any_separator(rng, x64):
    x, y = separable(rng, 12, 3)
    orders = np.array([rng.permutation(12) for _ in range(50)])
    found = jax.vmap(lambda order: perceptron.fit(x, y, rows=order))(orders)
    plane = perceptron.separate(x, y)
    bound = perceptron.mistake_bound(x, y, plane.weights, plane.bias)
    values = (2 * y - 1) * (x @ plane.weights + plane.bias)
    margin = values.min() / np.sqrt((plane.weights**2).sum() + plane.bias**2)
    assert bound == pytest.approx(((x**2).sum(1).max() + 1) / margin**2, rel=1e-9)
    assert found.converged.all()
    assert 0 < found.mistakes.max() <= bound
    assert perceptron.mistake_bound(x, y, -plane.weights, plane.bias) == np.inf


@pytest.mark.beyond
def test_the_largest_margin_gives_the_smallest_bound(rng, x64):
    x, y = separable(rng, 12, 3)
    best = implicit_bias.max_margin(np.column_stack([x, np.ones(12)]), y)
    least = perceptron.mistake_bound(x, y, best.direction[:-1], best.direction[-1])
    assert least == pytest.approx(((x**2).sum(1).max() + 1) / float(best.margin) ** 2, rel=1e-9)
    plane = perceptron.separate(x, y)
    assert perceptron.mistake_bound(x, y, plane.weights, plane.bias) >= least
    assert perceptron.fit(x, y).mistakes <= least


def test_the_rule_does_not_stop_on_exclusive_or():
    found = perceptron.fit(PATTERNS, XOR, max_passes=50)
    assert (found.passes, bool(found.converged)) == (50, False)
    assert found.mistakes >= 50


def test_the_pocket_holds_the_fewest_errors(rng):
    order = rng.integers(0, 4, 4000)
    found = perceptron.fit(PATTERNS, XOR, rows=order, max_passes=1, variant="pocket")
    values = PATTERNS @ np.asarray(found.weights) + float(found.bias)
    assert ((2 * XOR - 1) * values > 0).sum() == 3  # no plane is right on all four


def test_classes_may_be_signs(rng):
    x, y = separable(rng, 8, 2)
    one, other = (perceptron.fit(x, classes) for classes in (y, 2 * y - 1))
    np.testing.assert_array_equal(one.weights, other.weights)
    assert perceptron.separate(x, 2 * y - 1).margin == perceptron.separate(x, y).margin


@pytest.mark.parametrize(("n", "d"), [(30, 3), (20, 40)])
def test_a_separator_separates_nearly_as_widely_as_any(rng, n, d):
    x, y = separable(rng, n, d)
    found = perceptron.separate(x, y)
    distances = (2 * y - 1) * (x @ found.weights + found.bias) / np.linalg.norm(found.weights)
    assert found.separable
    assert found.certificate is None
    assert found.margin == pytest.approx(distances.min(), rel=1e-9)
    assert found.margin > 0
    # The widest in the Euclidean norm, by a support vector machine.
    peer = SVC(kernel="linear", C=1e9, tol=1e-9).fit(x, y)
    widest = 1 / np.linalg.norm(peer.coef_)
    assert widest / np.sqrt(d) <= found.margin * (1 + 1e-6)
    assert found.margin <= widest * (1 + 1e-6)


def proves(certificate, x, y):
    """Whether a certificate is exact, multiplied out."""
    signs = [int(one) for one in 2 * y - 1]
    beta = certificate.coefficients
    sums = [sum(b * s * int(v) for b, s, v in zip(beta, signs, column)) for column in x.T]
    return sums == [0] * x.shape[1] and min(beta) >= 0 and sum(beta) == 1 and (
        sum(b * s for b, s in zip(beta, signs)) == 0
    )  # fmt: skip


def test_exclusive_or_is_certified_in_rational_numbers():
    found = perceptron.separate(PATTERNS, XOR)
    assert not found.separable
    assert found.margin == 0
    assert found.certificate.exact
    assert found.certificate.residual == 0
    assert found.certificate.coefficients == (Fraction(1, 4),) * 4


def test_whole_numbers_are_decided_exactly_up_to_64_points(rng):
    x, y = rng.integers(-50, 51, (64, 12)), np.arange(64) % 2
    found = perceptron.separate(x, y)
    assert proves(found.certificate, x, y)
    assert perceptron.separate(x.astype(np.float32), y).certificate.exact
    beyond = perceptron.separate(np.concatenate([x, x[:2]]), np.concatenate([y, y[:2]])).certificate
    assert not beyond.exact
    assert 0 <= beyond.residual < 1e-9
    assert beyond.coefficients.min() >= 0
    assert beyond.coefficients.sum() == pytest.approx(1)
    many = rng.integers(-50, 51, (64, 64))
    assert perceptron.separate(many, y).separable  # so many dimensions have a plane for any classes


def test_what_double_precision_does_not_see_is_decided_exactly():
    x = np.array([[0], [1], [10**12]])
    assert perceptron.separate(x, np.array([0, 1, 1])).margin == 0.5
    close = np.array([[0, 0], [0, 10**9], [10**9, 0], [10**9, 10**9 - 1]])
    found = perceptron.separate(close, XOR)
    assert not found.separable
    assert proves(found.certificate, close, XOR)


def test_hulls_that_touch_are_not_separated():
    x, y = np.array([[0, 0], [2, 0], [1, 0], [1, 5]]), np.array([0, 0, 1, 1])
    found = perceptron.separate(x, y)
    assert proves(found.certificate, x, y)
    halves = perceptron.separate(x / 3, y).certificate
    assert not halves.exact
    assert halves.residual < 1e-12


def test_points_that_coincide_are_not_separated():
    found = perceptron.separate(np.zeros((3, 2)), np.array([0, 1, 1]))
    assert found.certificate.residual == 0
    assert not found.separable


@pytest.mark.parametrize("call", [perceptron.fit, perceptron.separate])
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (PATTERNS[0], XOR, ValueError, r"^x has the shape \(2,\): take \(n, features\) for \(n, features\)$"),
        (PATTERNS[:0], XOR[:0], ValueError, r"^x has the shape \(0, 2\): take at least one example$"),
        (PATTERNS, XOR[:3], ValueError, r"^y has the shape \(3,\): take \(4,\) for \(n,\)$"),
        (PATTERNS, XOR / 2, TypeError, r"^y is float64: take whole numbers, -1 and 1 or 0 and 1$"),
        (PATTERNS, XOR + 1, ValueError, r"^y holds 1, 2: take -1 and 1, or 0 and 1$"),
        (PATTERNS, np.arange(4), ValueError, r"^y holds 0, 1, 2, 3: take -1 and 1, or 0 and 1$"),
        (
            PATTERNS + 1j,
            XOR,
            TypeError,
            r"^x is complex \(complex128\): take real numbers, as its real part$",
        ),
    ],
)
def test_examples_that_do_not_fit_are_refused(own_errors, call, x, y, error, message):
    with pytest.raises(error, match=message):
        call(x, y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"variant": "best"}, ValueError, r"^variant is 'best': take 'last', 'average' or 'pocket'$"),
        ({"max_passes": 0}, ValueError, r"^max_passes is 0: take a whole number at least 1$"),
        (
            {"rows": np.array([0, 4])},
            ValueError,
            r"^rows are not all of x: take numbers from ",
        ),
        ({"rows": np.array([0.5])}, TypeError, r"^rows are float64: take whole numbers$"),
        ({"rows": np.zeros((1, 1), int)}, ValueError, r"^rows has the shape \(1, 1\): take \(presented,\)"),
    ],
)
def test_options_that_do_not_fit_are_refused(own_errors, options, error, message):
    with pytest.raises(error, match=message):
        perceptron.fit(PATTERNS, XOR, **options)


def test_separators_need_both_classes_and_finite_numbers(own_errors):
    with pytest.raises(
        ValueError, match=r"^y holds one class only: take at least one example of each of the "
    ):
        perceptron.separate(PATTERNS, np.ones(4, int))
    with pytest.raises(ValueError, match=r"^x holds numbers that are not finite: take finite ones$"):
        perceptron.separate(np.full((2, 1), np.nan), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"^weights has the shape \(3,\): take \(2,\) for \(features,\)$"):
        perceptron.mistake_bound(PATTERNS, XOR, np.ones(3), 0.0)
