"""Learning of filters: least squares over the ball, planted filters, what is missing, and going on."""

import re

import numpy as np
import pytest

from jaxtheory.sparse import convolutional, learning
from tests.sparse.convolutional import dense

CASES = [
    pytest.param(name, masked, domain, marks=() if (masked, domain) in quick else pytest.mark.beyond)
    for name, quick in {"image": [(True, "spatial")], "signal of channels": [(False, "fourier")]}.items()
    for masked in (False, True)
    for domain in ("spatial", "fourier")
]


@pytest.mark.beyond
@pytest.mark.parametrize(("name", "masked", "domain"), CASES)
def test_filters_become_the_least_squares_of_the_ball(name, masked, domain, x64, rng):
    shape, size = dense.CASES[name]
    x = 2 * rng.standard_normal((4, *size, shape[-2]))
    mask = rng.choice([0.0, 0.5, 1.0], x.shape) if masked else None
    options = {"boundary": "zero", "domain": domain, "tolerance": 1e-10, "max_steps": 3000}
    learner = convolutional.learner(0.5, **options, filter_steps=500)
    start = learner.init(rng.standard_normal(shape))
    codes = convolutional.lasso(start.filters, x, 0.5, mask=mask, **options).codes
    found, _ = learner.step(start, (x, mask) if masked else x)
    units = np.eye(np.prod(shape)).reshape(-1, *shape)
    weights = np.ones(x.shape) if mask is None else mask
    columns = [np.ravel(weights * convolutional.synthesize(unit, codes, boundary="zero")) for unit in units]
    matrix = np.stack(columns, 1)
    residual = (weights * x).ravel() - matrix @ np.ravel(found.filters)
    descent = (matrix.T @ residual).reshape(-1, shape[-1])
    atoms = np.asarray(found.filters).reshape(-1, shape[-1])
    norms = np.linalg.norm(atoms, axis=0)
    # At the minimum over the ball, what would lower the fit points out of it, along the atom.
    pull = np.sum(atoms * descent, axis=0)
    assert norms.max() < 1 + 1e-12
    assert np.any(norms > 1 - 1e-9)
    assert np.all(pull > -1e-7)
    inside = norms < 1 - 1e-7
    np.testing.assert_allclose(descent - np.where(inside, 0, pull) * atoms, 0, atol=1e-5)


@pytest.mark.beyond
def test_planted_filters_are_learned(rng):
    planted = rng.standard_normal((5, 1, 2))
    planted /= np.linalg.norm(planted, axis=(0, 1))
    codes = np.where(rng.random((60, 64, 2)) < 0.04, rng.choice([-1.0, 1.0], (60, 64, 2)), 0)
    images = np.asarray(convolutional.synthesize(np.float32(planted), np.float32(codes)))
    learner = convolutional.learner(0.2)
    # The problem is not convex: of a few starts, the one that came lowest.
    runs = [
        learning.run(learner, learner.init(np.float32(rng.standard_normal((7, 1, 4)))), images, steps=60)
        for _ in range(3)
    ]
    state, metrics = min(runs, key=lambda run: run[1]["objective"][-1])
    objective = metrics["objective"]
    assert np.all(np.diff(objective) < 1e-2 * objective[0])
    learned = np.asarray(convolutional.normalize(state.filters)[:, 0])
    for true in planted[:, 0].T:
        assert max(abs(np.correlate(one, true, "full")).max() for one in learned.T) > 0.99


PENALTIES = np.float32([0.3, 0.3, 0.3])


@pytest.fixture
def learner():
    return convolutional.learner(PENALTIES)


@pytest.fixture
def images(rng):
    return np.float32(rng.standard_normal((3, 12, 1)))


@pytest.mark.beyond
def test_a_run_takes_the_learners_steps(learner, images, rng):
    state = start = learner.init(np.float32(rng.standard_normal((3, 1, 3))))
    assert start.step == 0
    run, metrics = learning.run(learner, start, images, steps=2)
    for expected in metrics["objective"]:
        state, one = learner.step(state, images)
        np.testing.assert_allclose(one["objective"], expected, rtol=1e-5)
    assert state.step == run.step == 2
    np.testing.assert_allclose(run.filters, state.filters, atol=1e-5)
    assert metrics["objective"][1] < metrics["objective"][0]


@pytest.mark.beyond
def test_what_is_missing_or_an_image_of_nan_is_not_learned_from(learner, images, rng):
    state = learner.init(np.float32(rng.standard_normal((3, 1, 3))))
    mask = rng.random((3, 12, 1)) > 0.3
    (kept, one), (lost, other) = (
        learner.step(state, (np.where(mask, images, value), mask))
        for value in (np.float32(9), np.float32(np.nan))
    )
    np.testing.assert_array_equal(kept.filters, lost.filters)
    np.testing.assert_array_equal(one["objective"], other["objective"])
    images[1, 4] = np.inf
    with_it, one = learner.step(state, images)
    without, other = learner.step(state, images[[0, 2]])
    np.testing.assert_allclose(with_it.filters, without.filters, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one["objective"], other["objective"], rtol=1e-5)


def test_an_atom_without_codes_stays_and_one_of_zeros_becomes_a_patch(images, rng):
    filters = np.float32(rng.standard_normal((3, 1, 3)))
    filters[..., 2] = 0
    images[1, 6:9] *= 10
    learner = convolutional.learner(np.float32([0.3, 1e3, 1e3]))
    state = learner.init(filters)
    assert not np.any(state.filters[..., 2])
    after, _ = learner.step(state, images)
    np.testing.assert_array_equal(after.filters[..., 1], state.filters[..., 1])
    assert np.abs(after.filters - state.filters)[..., 0].max() > 1e-3
    loudest = images[1, 6:9]
    np.testing.assert_allclose(after.filters[..., 2], loudest / np.linalg.norm(loudest), rtol=1e-5)


def test_filters_of_zeros_learn(rng):
    images = np.float32(rng.standard_normal((4, 5, 7, 1)))
    learner = convolutional.learner(0.2)
    state, first = learner.step(learner.init(np.zeros((3, 2, 1, 4), np.float32)), images)
    _, second = learner.step(state, images)
    norms = np.linalg.norm(state.filters.reshape(-1, 4), axis=0)
    assert np.all(norms > 0.1)
    assert second["objective"] < first["objective"] < np.sum(images**2) / 2 / 4
    # Images of zeros teach nothing.
    still, metrics = learner.step(learner.init(np.zeros((3, 2, 1, 4), np.float32)), 0 * images)
    np.testing.assert_array_equal(still.filters, 0)
    assert metrics["objective"] == 0


FILTERS, IMAGE = np.ones((2, 2, 1, 3), np.float32), np.ones((4, 4, 1), np.float32)
BAD = {
    "filters": (
        lambda: convolutional.learner(0.1).init(FILTERS[0, 0]),
        ValueError,
        "take (height, width, ch",
    ),
    "empty": (lambda: convolutional.learner(0.1).init(FILTERS[:0]), ValueError, "take no empty axes"),
    "filter steps": (
        lambda: convolutional.learner(0.1, filter_steps=0),
        ValueError,
        "filter_steps is 0: take",
    ),
    "steps": (lambda: convolutional.learner(0.1, max_steps=2.5), TypeError, "max_steps is 2.5: take a whole"),
    "penalty": (
        lambda: convolutional.learner(-0.1),
        ValueError,
        "penalty is -0.1: take a number of 0 or more",
    ),
    "boundary": (
        lambda: convolutional.learner(0.1, boundary="same"),
        ValueError,
        "take 'periodic' or 'zero'",
    ),
    "images": (
        lambda: convolutional.learner(0.1).step(convolutional.learner(0.1).init(FILTERS), IMAGE[0]),
        ValueError,
        "images has the shape (4, 1)",
    ),
    "mask": (
        lambda: convolutional.learner(0.1).step(convolutional.learner(0.1).init(FILTERS), (IMAGE, IMAGE[:3])),
        ValueError,
        "mask has the shape (3, 4, 1)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
