"""Boosting by filtering: what each network is shown, and what the three answer together."""

import jax
import numpy as np
import pytest

from jaxtheory.statistics import boosting

KEY = jax.random.key(0)
SIZE = 400


def draw(key):
    """Numbers from 0 to 1; the class is whether they are above 0.7."""
    x = np.random.default_rng(np.asarray(jax.random.key_data(key))).uniform(size=(250, 1))
    return x, (x[:, 0] > 0.7).astype(int)


def logits(network, x):
    """The answer of a network, an array of the borders at which its answer changes, from 0 at 0."""
    above = np.searchsorted(network, x[:, 0]) % 2
    return np.stack([1 - above, above], axis=1).astype(np.float32)


def shown(borders):
    """A training function that returns prepared networks, and a list of what it was given."""
    given = []

    def train(features, labels, key):
        given.append((np.asarray(features), np.asarray(labels), key))
        return np.array(borders[len(given) - 1])

    return train, given


def test_each_network_is_shown_what_its_filter_lets_pass():
    borders = ([0.5], [0.7, 0.8, 0.9], [0.7])
    train, given = shown(borders)
    boosted = boosting.fit(draw, train, logits, KEY, examples=SIZE)
    first, second, third = (features for features, _, _ in given)
    assert [len(features) for features, _, _ in given] == boosted.examples.tolist() == [SIZE] * 3
    assert np.all([labels == (features[:, 0] > 0.7) for features, labels, _ in given])
    assert 0 < first.min() < 0.05 < 0.95 < first.max() < 1
    # The first is wrong from 0.5 to 0.7: half of what the second sees, not a fifth.
    assert np.sum((second > 0.5) & (second < 0.7)) == SIZE // 2
    # The first and the second disagree from 0.5 to 0.7 and from 0.8 to 0.9.
    assert np.all(((third > 0.5) & (third < 0.7)) | ((third > 0.8) & (third < 0.9)))
    # As many are drawn as are needed to fill the rarer half: one in five, and three in ten.
    np.testing.assert_allclose(boosted.drawn[1:], [SIZE / 2 / 0.2, SIZE / 0.3], rtol=0.35)
    np.testing.assert_array_equal(np.asarray(boosted.drawn) % 250, 0)
    keys = [tuple(jax.random.key_data(key).tolist()) for _, _, key in given]
    assert len(set(keys)) == 3
    x = np.linspace(0.005, 0.995, 100)[:, None]
    expected = sum(logits(network, x) for network in map(np.array, borders))
    np.testing.assert_array_equal(boosting.outputs(boosted, logits, x), expected)


def test_the_majority_errs_as_the_theorem_says():
    """Of networks that err on a quarter of what they are shown, it errs with 3 / 4^2 - 2 / 4^3 at most."""
    # The true class is zero everywhere. The second repeats a fifth of the first's errors, so that it errs on
    # a tenth of these halves and on three tenths of the others; the third, on a quarter of the disputed.
    train, given = shown(([0.0, 0.25], [0.2, 0.475], [0.0, 0.10625]))
    boosted = boosting.fit(lambda key: (draw(key)[0], np.zeros(250, int)), train, logits, KEY, examples=2000)
    for network, (features, _, _) in zip(boosted.networks, given):
        assert abs(logits(network, features)[:, 1].mean() - 0.25) < 0.04
    x = np.linspace(0, 1, 10_001)[1:, None]
    wrong = np.argmax(boosting.outputs(boosted, logits, x), axis=1)
    np.testing.assert_allclose(wrong.mean(), 3 / 4**2 - 2 / 4**3, atol=1e-3)


def test_where_few_pass_the_halves_stay_equal():
    train, _ = shown(([0.695], [0.7, 0.8, 0.9], [0.7]))
    boosted = boosting.fit(draw, train, logits, KEY, examples=SIZE, max_batches=4)
    assert boosted.drawn.tolist() == [500, 1000, 1000]
    few = int(boosted.examples[1])
    assert few % 2 == 0
    assert 2 <= few < 40


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"examples": 1}, ValueError, r"^examples is 1: take a whole number at least 2$"),
        ({"max_batches": 0}, ValueError, r"^max_batches is 0: take a whole number at least 1$"),
        ({"key": 3}, TypeError, r"^key is 3: take one random key"),
        (
            {"draw": lambda _: (np.ones((2, 1)), np.ones(2))},
            TypeError,
            r"^labels are float64: take whole num",
        ),
        (
            {"draw": lambda _: (np.ones((2, 1)), np.ones(3, int))},
            ValueError,
            r"^labels has the shape \(3,\): ",
        ),
        (
            {"draw": lambda _: (np.ones((0, 1)), np.ones(0, int))},
            ValueError,
            r"^features has the shape \(0, 1\): take at least one example from draw$",
        ),
        (
            {"logits": lambda _, x: x[:, 0]},
            ValueError,
            r"^logits returned the shape \(250,\): take \(n, classes\) for the 250 examples$",
        ),
        (
            {"borders": ([0.7], [0.7], [0.7])},
            ValueError,
            r"^the first network gets none of 500 examples wrong: take one that errs at times, or mo",
        ),
        (
            {"borders": ([-1.0, 0.7], [0.7], [0.7])},
            ValueError,
            r"^the first network gets none of 500 examples right: take one that errs at times, or mo",
        ),
        (
            {"borders": ([0.5], [0.5], [0.7])},
            ValueError,
            r"^the first two networks disagree on none of 500 examples: take weaker ones, or more batches$",
        ),
    ],
)
def test_what_cannot_be_boosted_is_refused(change, error, message):
    given = {"draw": draw, "logits": logits, "key": KEY, "examples": 20, "max_batches": 2, **change}
    train, _ = shown(given.pop("borders", ([0.5], [0.6], [0.7])))
    with pytest.raises(error, match=message):
        boosting.fit(train=train, **given)
