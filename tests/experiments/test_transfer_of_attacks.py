"""The pieces of the experiment on transfer against brute force, and a run in miniature."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sklearn.tree import DecisionTreeClassifier

from jaxtheory.data import mnist
from jaxtheory.experiments.puzzles import transfer_of_attacks as experiment
from jaxtheory.lab import Lab, Verdict

TINY = dataclasses.replace(experiment.QUICK, digits=100, attacked=20, draws=2, epochs=1)
DRAWS = 4


def found(rng, gains=(50.0, 40.0, 30.0, -5.0, 10.0)):
    """Errors on attacked digits that exceed those on noise by given means, for each source."""
    cells = experiment.PUBLISHED.values + 40 * rng.random((5, 6)) + rng.random((DRAWS, 5, 6))
    gained = np.array(gains)[:, None] + rng.random((DRAWS, 5, 6)) - 0.5
    pairs = 20 + rng.random((DRAWS, 2, 2))
    coordinates = {
        "draw": range(DRAWS),
        "source": list(experiment.SOURCES),
        "target": list(experiment.TARGETS),
        "made on": list(experiment.KINDS),
        "shown to": list(experiment.KINDS),
    }
    arrays = {
        "attacked": (("draw", "source", "target"), cells),
        "noise": (("draw", "source", "target"), cells - gained),
        "clean": (("draw", "target"), rng.random((DRAWS, 6))),
        "norm": (("draw", "source"), rng.random((DRAWS, 5))),
        "networks": (("draw", "made on", "shown to"), pairs),
        "networks on noise": (("draw", "made on", "shown to"), pairs - 5 - rng.random(pairs.shape)),
    }
    return xr.Dataset(arrays, coordinates)


def test_claims_compare_with_noise_and_with_the_published_ranks(rng, tmp_path):
    results = found(rng)
    claims = experiment.claims(results, 0.0)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 5
    assert [len(claim.measurements) for claim in claims] == [1, 6, 6, 6, 4]
    cells = results.attacked.mean("draw").values.ravel()
    expected = stats.spearmanr(cells, experiment.PUBLISHED.values.ravel()).statistic
    assert claims[0].measurements[0].value == pytest.approx(expected)
    low, high = claims[0].measurements[0].interval
    assert 0.5 < low < expected < high < 1
    worse = experiment.claims(found(rng, (50.0, -20.0, 0.0, 0.0, 0.0)), 0.0)
    assert [claim.verdict for claim in worse[1:4]] == [Verdict.HOLDS, Verdict.FAILS, Verdict.TIE]
    lab = Lab(tmp_path)
    experiment.notes(results, lab, 0.0)
    assert [note.rsplit("Above noise: ")[-1] for note in lab.notes[-2:]] == [
        "none.", "network, logistic regression, support vectors, tree, neighbors, ensemble."
    ]  # fmt: skip


def small_tree(rng):
    digits = mnist.load()
    x, y = digits.train_images[:200], digits.train_labels[:200]
    model = DecisionTreeClassifier(random_state=0).fit(x.reshape(200, -1), y)
    return model, digits.test_images[:100], digits.test_labels[:100]


def ancestors(tree, leaf):
    parents = {
        int(c): k for k in range(tree.node_count) for c in (tree.children_left[k], tree.children_right[k])
    }
    path = [leaf]
    while path[-1]:
        path.append(parents[path[-1]])
    return path


def test_a_tree_is_led_to_the_other_leaf_below_the_lowest_ancestor(rng):
    model, x, y = small_tree(rng)
    tree = model.tree_
    classes = tree.value[:, 0].argmax(1)
    leaves = np.flatnonzero(tree.children_left < 0)
    others = experiment.other_leaves(tree)
    paths = {int(leaf): ancestors(tree, int(leaf)) for leaf in leaves}
    for leaf in leaves:
        # The lowest ancestor that any leaf of another class is below.
        expected = next(
            node
            for node in paths[leaf]
            if any(node in paths[other] and classes[other] != classes[leaf] for other in leaves)
        )
        assert classes[others[leaf]] != classes[leaf]
        assert expected in paths[others[leaf]]
    flat = x.reshape(len(x), -1)
    right = model.predict(flat) == y
    changed = experiment.flipped(model, x, y).reshape(len(x), -1)
    assert 0 < right.sum() < len(x)
    np.testing.assert_array_equal(changed[~right], flat[~right])
    np.testing.assert_array_equal(
        model.apply(changed[right]), [others[leaf] for leaf in model.apply(flat[right])]
    )
    assert (model.predict(changed) != y).all()
    # No pixel changes that the other leaf's path does not ask about.
    for before, after, leaf in zip(flat[right], changed[right], model.apply(changed[right])):
        assert set(np.flatnonzero(before != after)) <= set(tree.feature[paths[leaf][1:]])
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_noise_has_the_norms_of_the_changes(rng):
    x = rng.random((5, 28, 28)).astype(np.float32)
    changed = np.clip(x + 0.3 * rng.choice([-1, 1], x.shape), 0, 1).astype(np.float32)
    changed[1] = x[1]
    noise = experiment.noisy(x, changed, rng)
    norms = [np.linalg.norm((one - x).reshape(5, -1), axis=1) for one in (changed, noise)]
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-4, atol=1e-5)
    assert noise.min() >= 0
    assert noise.max() <= 1


def test_soft_votes_are_sums_of_exponentials(rng):
    features, x = rng.random((6, 784)) / 10, rng.random((3, 28, 28)) / 10
    labels = np.array([0, 0, 1, 1, 1, 2])
    members = np.eye(3, dtype=bool)[labels]
    weights = np.exp(-((x.reshape(3, 1, 784) - features) ** 2).sum(2))
    expected = np.log(weights @ members)
    found = experiment.soft_votes((features.astype(np.float32), members), x.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_draws_of_a_whole_data_set_share_no_digits(tmp_path):
    images = np.arange(100, dtype=np.float32)[:, None, None] * np.ones((1, 28, 28), np.float32)
    digits = mnist.Digits(images[:80], np.zeros(80, int), images[80:], np.zeros(20, int), "numbers", "0")
    config = experiment.available(experiment.Config(draws=4), digits)
    assert (config.digits, config.attacked, config.draws) == (10, 5, 4)
    parts = [experiment.drawn(config, digits, Lab(tmp_path), draw) for draw in range(4)]
    trained, tested = (np.concatenate([part[k][:, 0, 0] for part in parts]) for k in (0, 2))
    assert sorted(trained) == list(range(80))
    assert sorted(tested) == list(range(80, 100))
    few = experiment.available(experiment.Config(draws=10), mnist.load())
    assert (few.digits, few.attacked, few.draws) == (2000, 1000, 5)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 6, 6, 6, 4]
    assert all(np.isfinite(row.value) for claim in claims for row in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {"matrix"}
    assert lab.notes[0] == "Halves of 100 training digits, 20 test digits in each draw."
    # What flips a tree flips it, whatever it has learned.
    made_on_tree = next(note for note in lab.notes if note.startswith("Made on tree"))
    assert "tree 100.0," in made_on_tree
