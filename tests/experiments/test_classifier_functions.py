"""The pieces of the experiment on classifiers against sampled errors and sizes by hand, and a small run."""

import jax
import numpy as np
import pytest

from jaxtheory.approximation import relu
from jaxtheory.experiments.approximation import classifier_functions as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    pieces=(17, 67), draws=2, rows=2**10, trained=(4,), steps=20, batch=64
)  # fmt: skip


def test_boundaries_stay_within_the_square():
    for beta in experiment.SMOOTHNESS:
        phases = experiment.phases_of(jax.random.key(1), beta)
        values = np.asarray(experiment.heights(experiment.along(500), phases, beta))
        assert np.abs(values).max() <= experiment.HEIGHT
        assert np.ptp(values) > 0.1


@pytest.mark.beyond
def test_errors_of_constructions_are_those_of_samples(rng):
    key, rows, pieces = jax.random.key(0), 2**12, 11
    found = experiment.of_construction(rows, 0.5, pieces, key)
    phases = experiment.phases_of(key, 0.5)
    network = experiment.constructed(0.5, pieces, phases)
    x = rng.uniform(-0.5, 0.5, (50_000, 2))
    with jax.enable_x64(True):
        truth = x[:, 0] + np.asarray(experiment.heights(x[:, 1], phases, 0.5)) >= 0
        outputs = np.asarray(relu.apply(network, x))[:, 0]
    assert found["error"] == pytest.approx(np.sqrt(np.mean((outputs - truth) ** 2)), rel=0.03)
    assert found["error"] < found["certified"] < 1.1 * found["error"]
    # Of 11 neurons of the boundary and 2 for x_1: one weight in and two out each, and biases of all but 2.
    assert found["weights"] == (11 + 2) + 11 + 2 * (11 + 2) + 2 + 2
    assert found["layers"] == 3
    assert found["difference"] < 1e-9


def test_trained_boundaries_are_networks_of_one_layer(rng):
    params = {name: rng.standard_normal(3) for name in ("slope", "bias", "bend")} | {"height": 0.2}
    network = relu.Network(
        (params["slope"][None], params["bend"][:, None]), (params["bias"], np.array([0.2]))
    )
    x = np.linspace(-0.5, 0.5, 9)
    found = experiment.boundary(params, x)
    np.testing.assert_allclose(found, relu.apply(network, x[:, None])[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.beyond
def test_training_lowers_the_error():
    keys = jax.random.split(jax.random.key(0))
    few, many = (
        experiment.of_training(experiment.Config(steps=steps, batch=128), 2.0, 6, keys) for steps in (1, 1000)
    )
    assert (many["error"] < 0.9 * few["error"]).all()


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [3, 2, 1, 1]
    assert all(claim.verdict == Verdict.HOLDS for claim in claims[1:])
    assert [figure["name"] for figure in lab.figures] == ["error_by_weights", "boundaries"]
    assert len(lab.notes) == 1
