"""What the classifiers of LeCun's table refuse, and in which words."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.statistics import least_squares, pairwise, quadratic, radial_basis, tangent_distance

pytestmark = pytest.mark.usefixtures("own_errors")

ROWS, LABELS = np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1])
IMAGES = np.zeros((4, 5, 6), np.float32)
FITS = {
    "least_squares": least_squares.fit,
    "pairwise": pairwise.fit,
    "quadratic": partial(quadratic.fit, components=2),
    "radial_basis": partial(radial_basis.fit, centers=ROWS, bandwidth=1.0),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((ROWS[0], LABELS), {}, ValueError, r"^features has the shape \(3,\): take \(n, features\) for"),
        ((ROWS[:0], LABELS[:0]), {}, ValueError, r"^features has the shape \(0, 3\): take at least one exam"),
        ((ROWS, LABELS[:3]), {}, ValueError, r"^labels has the shape \(3,\): take \(4,\) for \(n,\)$"),
        ((ROWS, LABELS), {"classes": 0}, ValueError, r"^classes is 0: take a whole number at least [12]$"),
        ((ROWS, LABELS - 1), {}, ValueError, r"^labels run from -1 to 0: take 0 to 1 for 2 classes$"),
        ((ROWS, LABELS / 2), {}, TypeError, r"^labels are float64: take whole numbers, classes from 0$"),
        ((ROWS + 1j, LABELS), {}, TypeError, r"^features is complex \(complex64\): take real numbers"),
        ((ROWS, LABELS), {"penalty": -1.0}, ValueError, r"^penalty is -1\.0: take a number of 0 or more$"),
    ],
)
def test_examples_that_do_not_fit_are_refused(fit, arguments, options, error, message):
    with pytest.raises(error, match=message):
        fit(*arguments, **{"classes": 2, **options})


def linear(features: int) -> least_squares.LinearModel:
    return least_squares.LinearModel(jnp.zeros((features, 2)), jnp.zeros(2))


def polynomial() -> quadratic.QuadraticModel:
    return quadratic.QuadraticModel(jnp.zeros(3), jnp.zeros((4, 3)), linear(14))


def units() -> pairwise.PairwiseModel:
    return pairwise.PairwiseModel(jnp.zeros((3, 1)), jnp.zeros(1), 2)


def network() -> radial_basis.RadialBasisModel:
    return radial_basis.RadialBasisModel(jnp.zeros((4, 3)), jnp.ones(()), linear(4))


def planes(*lead: int) -> tangent_distance.TangentPlanes:
    points, directions = jnp.zeros((*lead, 30)), jnp.zeros((*lead, 7, 30))
    return tangent_distance.TangentPlanes(points, directions, (5, 6), 0.9, 0.01)


OTHER_SIZE = r"^queries has the shape \(4,\): take \(\.\.\., 3\) for \(\.\.\., features\)$"
QUERY = np.zeros(4, np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: least_squares.normal_equations(ROWS, ROWS, 1.0),
            r"^covariance has the shape \(4, 3\): take \(\.\.\., 4, 4\) for \(\.\.\., features, features\)$",
        ),
        (
            lambda: least_squares.normal_equations(np.eye(4), ROWS, -1.0),
            r"^penalty is -1\.0: take a number of 0 or more$",
        ),
        (
            lambda: pairwise.fit(ROWS, 2 * LABELS, classes=3),
            r"^labels hold no example of class 1: take at least one of each of the 3 classes$",
        ),
        (
            lambda: quadratic.fit(ROWS, LABELS, classes=2, components=4),
            r"^components is 4: take a whole number from 1 to 3$",
        ),
        (
            lambda: radial_basis.fit(ROWS, LABELS, ROWS[:, :2], classes=2, bandwidth=1.0),
            r"^features has the shape \(4, 3\): take \(\.\.\., 2\) for \(\.\.\., features\)$",
        ),
        (
            lambda: radial_basis.responses(ROWS[:0], ROWS, bandwidth=1.0),
            r"^centers has the shape \(0, 3\): take at least one center$",
        ),
        (
            lambda: radial_basis.responses(ROWS, ROWS, bandwidth=0.0),
            r"^bandwidth is 0\.0: take a positive number$",
        ),
        (
            lambda: radial_basis.responses(ROWS, ROWS, bandwidth=np.ones(3)),
            r"^bandwidth has the shape \(3,\): take \(4,\) for \(centers,\)$",
        ),
        (lambda: least_squares.predict(linear(3), QUERY), OTHER_SIZE),
        (lambda: pairwise.predict(units(), QUERY), OTHER_SIZE),
        (lambda: quadratic.predict(polynomial(), QUERY), OTHER_SIZE),
        (
            lambda: quadratic.products(polynomial(), QUERY),
            r"^x has the shape \(4,\): take \(\.\.\., 3\) for \(\.\.\., features\)$",
        ),
        (
            lambda: radial_basis.predict(network(), QUERY),
            OTHER_SIZE,
        ),
        (
            lambda: tangent_distance.tangent_vectors(QUERY),
            r"^images has the shape \(4,\): take \(\.\.\., height, width\) for",
        ),
        (
            lambda: tangent_distance.planes(IMAGES[:, :0]),
            r"^images has the shape \(4, 0, 6\): take at least one pixel$",
        ),
        (
            lambda: tangent_distance.tangent_vectors(IMAGES, smoothing=0.0),
            r"^smoothing is 0\.0: take a positive number$",
        ),
        (
            lambda: tangent_distance.planes(IMAGES, spring=-1.0),
            r"^spring is -1\.0: take a number of 0 or more$",
        ),
        (
            lambda: jax.jit(lambda s: tangent_distance.planes(IMAGES, spring=s))(0.1),
            r"^spring is traced: take a number that is known",
        ),
        (
            lambda: tangent_distance.distances(planes(4), IMAGES[:, :4]),
            r"^queries has the shape \(4, 4, 6\): take \(\.\.\., 5, 6\) for \(\.\.\., height, width\)$",
        ),
        (
            lambda: tangent_distance.distances(planes(1, 4), IMAGES),
            r"^planes\.points has the shape \(1, 4, 30\): take \(n, pixels\) for \(n, pixels\)$",
        ),
        (
            lambda: tangent_distance.search(planes(4), IMAGES, candidates=5),
            r"^candidates is 5: take a whole number from 1 to 4$",
        ),
        (
            lambda: tangent_distance.search(planes(4), IMAGES, candidates=2, neighbors=3),
            r"^neighbors is 3: take a whole number from 1 to 2$",
        ),
        (
            lambda: tangent_distance.predict(planes(4), LABELS[:3], IMAGES, classes=2),
            r"^labels has the shape \(3,\): take \(4,\) for \(n,\)$",
        ),
        (
            lambda: tangent_distance.predict(planes(4), LABELS, IMAGES, classes=1),
            r"^labels run from 0 to 1: take 0 to 0 for 1 classes$",
        ),
    ],
)
def test_numbers_and_shapes_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
