"""The pieces of the experiment on linear regions against counting by hand, and a run in miniature."""

import jax
import numpy as np
import pytest

from jaxtheory.approximation import relu
from jaxtheory.experiments.approximation import sawtooth_regions as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(levels=(1, 4), neurons=16, depths=(1, 4), draws=2, points=32, steps=5)


@pytest.mark.parametrize("level", [1, 5])
def test_the_sawtooth_is_counted_deep_and_shallow(level):
    found = experiment.of_sawtooth(level)
    assert found == {"pieces": 2**level, "neurons": 2 * level, "shallow_neurons": 2**level, "same": 1}


def test_neurons_are_divided_evenly():
    assert experiment.widths(64, 1) == (2, 64, 1)
    assert experiment.widths(64, 4) == (2, 16, 16, 16, 16, 1)


def test_pieces_of_the_network_that_is_chosen_are_counted():
    steep = relu.parallel(relu.sawtooth(2), relu.identity(1))
    network = relu.compose(
        relu.affine([[1.0], [0.0]]), relu.compose(steep, relu.affine(np.eye(2) / 2, [0.5, 0]))
    )
    flat = relu.affine(np.ones((2, 1)))
    stacked = {
        kind: jax.tree.map(lambda leaf: np.stack([0 * leaf, leaf]), relu.to_mlp(one))
        for kind, one in (("trained", network), ("random", flat))
    }
    assert experiment.counted({"4": stacked}, 4, "trained", 1) == {"plane": 4, "line": 4}
    assert experiment.counted({"4": stacked}, 4, "trained", 0) == {"plane": 1, "line": 1}
    assert experiment.counted({"4": stacked}, 4, "random", 1) == {"plane": 1, "line": 1}


@pytest.mark.beyond
def test_training_lowers_the_error():
    keys = jax.random.split(jax.random.key(0), 2)
    few, many = (
        experiment.trained(experiment.Config(neurons=16, points=64, steps=steps), 2, keys)["loss"]
        for steps in (1, 150)
    )
    assert (many < 0.8 * few).all()


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 2, 1, 2, 2]
    assert all(claim.verdict == Verdict.HOLDS for claim in claims[:4])
    assert [figure["name"] for figure in lab.figures] == ["pieces", "regions"]
