"""Learning of several layers."""

import re
from functools import partial

import jax
import numpy as np
import pytest
import scipy.linalg

from jaxtheory.sparse import convolutional, learning, multilayer
from tests.sparse.multilayer.models import made, matrices


@pytest.mark.beyond
def test_learning_finds_planted_filters(rng):
    true = [np.float32(scipy.linalg.hadamard(8)[:, None, 1:5]), np.zeros((5, 4, 4), np.float32)]
    for channel, atom in np.ndindex(4, 4):
        true[1][rng.integers(5), channel, atom] = rng.choice([-1, 1])
    true, strides = [d / np.linalg.norm(d.reshape(-1, 4), axis=0) for d in true], (8, 1)
    draw = partial(multilayer.sample, filters=true, shape=(192,), sparsity=6, largest=2.0, strides=strides)
    images = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 64))[0]
    start = [np.float32(d + 0.18 * rng.standard_normal(d.shape)) for d in true]
    start = [d / np.linalg.norm(d.reshape(-1, 4), axis=0) for d in start]
    penalties = [0.03, 0.03]
    learner = multilayer.learner(penalties, code_steps=30, strides=strides)
    state, metrics = learning.run(learner, learner.init(start), images, steps=200)
    learned, objective = state.filters, metrics["objective"]
    assert objective.shape == (200,)
    best = multilayer.ml_fista(true, images, penalties, steps=300, strides=strides).objective.mean()
    assert objective[0] > 2 * best
    assert objective[-1] < 1.02 * best
    cosines = [[np.sum(a * b, (0, 1)) for a, b in zip(pair, true)] for pair in (start, learned)]
    for before, after in zip(*cosines):
        assert np.mean(before) < 0.95
        assert np.min(after) > 0.97
    for filters in learned:
        np.testing.assert_allclose(np.sum(np.square(filters), (0, 1)), 1, rtol=1e-5)


@pytest.mark.beyond
def test_a_step_on_the_filters_lowers_the_objective_of_its_codes(x64, rng):
    filters, size, _ = made(rng, "image")
    images = rng.standard_normal((6, *size, 1))
    penalties = [0.05, 0.1]
    learner = multilayer.learner(penalties)
    state = learner.init(filters)

    def objective(filters, codes):
        chain = matrices(filters, size, (1, 1), "periodic")
        flat = codes.reshape(6, -1)
        middle = flat @ chain[1].T
        fit = np.sum((images.reshape(6, -1) - middle @ chain[0].T) ** 2) / 2
        return (fit + 0.05 * np.abs(middle).sum() + 0.1 * np.abs(flat).sum()) / 6

    for _ in range(3):
        codes = np.asarray(multilayer.ml_fista(state.filters, images, penalties, steps=50).codes[-1])
        after, metrics = learner.step(state, images)
        np.testing.assert_allclose(metrics["objective"], objective(state.filters, codes), rtol=1e-10)
        assert objective(after.filters, codes) < metrics["objective"]
        state = after
    assert state.step == 3


def norms(filters):
    return [np.linalg.norm(np.asarray(one).reshape(-1, one.shape[-1]), axis=0) for one in filters]


def test_atoms_of_zeros_are_replaced_and_a_zero_image_changes_nothing(rng):
    start = [np.float32(rng.standard_normal((3, 1, 2))), np.float32(rng.standard_normal((3, 2, 2)))]
    start[1][..., 1] = 0
    learner = multilayer.learner([0.1, 0.1], code_steps=10)
    state = learner.init(start)
    assert not np.any(state.filters[1][..., 1])
    after, metrics = learner.step(state, np.float32(rng.standard_normal((4, 8, 1))))
    np.testing.assert_allclose(np.concatenate(norms(after.filters)), 1, rtol=1e-5)
    assert np.isfinite(metrics["objective"])
    still, _ = learner.step(state, np.zeros((4, 8, 1), np.float32))
    for one, other in zip(still.filters, state.filters):
        np.testing.assert_array_equal(one, other)
    found = multilayer.ml_ista(state.filters, np.zeros((8, 1), np.float32), [0.1, 0.1])
    assert found.change == 0


def test_patches_in_place_of_zeros_are_those_of_the_most_energy():
    # Of the tiles of three pixels the second has the most energy, and a step of no effect leaves it.
    image = np.float32([1, 0, 0, 0, 3, 4, 0, 1, 0])[None, :, None]
    zeros = [np.zeros((3, 1, 1), np.float32), np.zeros((2, 1, 1), np.float32)]
    learner = multilayer.learner([100.0, 100.0], code_steps=1)
    after, metrics = learner.step(learner.init(zeros), image)
    np.testing.assert_allclose(after.filters[0][:, 0, 0], [0, 0.6, 0.8], rtol=1e-6)
    products = convolutional.analyze(after.filters[0], image)[0, :, 0]
    tiles = np.append(products, 0).reshape(-1, 2)
    best = tiles[np.argmax(np.sum(tiles**2, 1))]
    np.testing.assert_allclose(after.filters[1][:, 0, 0], best / np.linalg.norm(best), rtol=1e-5)
    np.testing.assert_allclose(metrics["objective"], np.sum(image**2) / 2, rtol=1e-6)


BAD = {
    "code steps": (
        lambda: multilayer.learner([0.1], code_steps=0),
        ValueError,
        "code_steps is 0: take a whole",
    ),
    "a part": (
        lambda: multilayer.learner([0.1], code_steps=2.5),
        TypeError,
        "code_steps is 2.5: take a whole",
    ),
    "penalty": (
        lambda: multilayer.learner([0.1, -0.5]),
        ValueError,
        "penalties of layer 2 is -0.5: take a num",
    ),
    "one penalty": (lambda: multilayer.learner(0.1), TypeError, "penalties is 0.1: take a sequence"),
    "strides": (lambda: multilayer.learner([0.1, 0.1], strides=(2,)), ValueError, "for each of the 2 layers"),
    "boundary": (lambda: multilayer.learner([0.1], boundary="same"), ValueError, "take 'periodic' or 'zero'"),
    "layers": (
        lambda: multilayer.learner([0.1]).init([np.ones((3, 1, 2)), np.ones((3, 2, 2))]),
        ValueError,
        "filters has 2 layers: take as many as penalties, 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
