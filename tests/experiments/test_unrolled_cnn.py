"""The pieces of the experiment on unfolded networks, and a run in miniature that is resumed."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxtheory.experiments.sparse import unrolled_cnn as experiment
from jaxtheory.lab import Lab, Sweep, Verdict

TINY = experiment.Config(networks=("CNN",), seeds=1, epochs=0.1, atoms=(2, 3, 4), batch=20, rate=0.01)


def sweep(name, values, losses=2):
    values = np.asarray(values, float)
    return Sweep(
        name,
        {"seed": tuple(range(values.size))},
        {"accuracy": values, "loss": np.ones((values.size, losses))},
    )


def test_the_rate_falls_as_the_papers_does():
    optimizer = experiment.optimiser(0.1, 100)
    params = np.float32(0)
    state, moves = optimizer.init(params), []
    for _ in range(100):
        move, state = optimizer.update(np.float32(1), state, params)
        moves.append(-float(move))
    assert moves[:2] == pytest.approx([0.1, 0.19])
    # With momentum 0.9 a constant gradient moves ten times the rate.
    assert moves[29] == pytest.approx(1 - 0.9**30, rel=1e-4)
    assert moves[30] / moves[29] == pytest.approx(0.2, rel=0.02)
    assert moves[60] / moves[59] == pytest.approx(0.2, rel=0.02)
    assert moves[90] / moves[89] == pytest.approx(0.2, rel=0.02)


def test_networks_of_a_seed_begin_alike():
    optimizer = experiment.optimiser(0.1, 100)
    one, other = (experiment.start(name, TINY, optimizer, 3) for name in ("CNN", "ML-FISTA, 6 unfoldings"))
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params)):
        np.testing.assert_array_equal(a, b)
    assert other.params.unfoldings == 6
    assert other.params.accelerated


@pytest.mark.parametrize("name", experiment.NETWORKS)
def test_the_papers_network_has_its_number_of_parameters(name):
    assert experiment.parameters(name) == 604_909


def test_unfolding_is_compared_seed_by_seed():
    accuracies = {
        name: sweep(name, np.array([97.0, 98.0, 99.0]) + gain)
        for name, gain in zip(experiment.NETWORKS, (0, 0.5, [0.4, 0.5, 0.6], [-1.0, 0.0, 1.0]))
    }
    claim = experiment.help_claim(accuracies, experiment.Config())
    assert [one.value for one in claim.measurements] == pytest.approx([0.5, 0.5, 0.0])
    assert claim.measurements[1].standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert claim.verdict == Verdict.TIE
    assert experiment.help_claim(accuracies, TINY).verdict == Verdict.UNTESTED


def test_published_figures_are_for_the_papers_recipe(tmp_path):
    accuracies = {name: sweep(name, [99.125] * 3) for name in experiment.NETWORKS}
    claims = experiment.published_claims(
        accuracies, experiment.Config(paper=True), Lab(tmp_path, data_dir=tmp_path)
    )
    assert [claim.verdict for claim in claims] == [Verdict.FAILS, Verdict.HOLDS, Verdict.HOLDS]
    claims = experiment.published_claims(accuracies, experiment.Config(), Lab(tmp_path / "other"))
    assert {claim.verdict for claim in claims} == {Verdict.UNTESTED}
    assert "99.1" in claims[0].reason


def test_as_many_epochs_are_taken_as_fit(tmp_path, rng):
    data = (np.float32(rng.uniform(size=(60, 28, 28))), np.arange(60) % 10)
    found = [
        experiment.epochs_that_fit(data, replace(TINY, minutes=minutes), Lab(tmp_path))
        for minutes in (1e-9, 1e9)
    ]
    assert [one[-1] for one in found] == [1, 100]
    minutes = found[0][0]
    step, epochs = experiment.epochs_that_fit(data, replace(TINY, minutes=minutes), Lab(tmp_path))
    # Three steps an epoch.
    assert epochs == np.clip(np.floor(60 * minutes / (3 * step)), 1, 100)


def test_a_run_in_miniature_is_resumed(tmp_path, monkeypatch):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [4, 0, 0, 0, 0]
    assert claims[0].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"accuracy", "loss"}
    monkeypatch.setattr(experiment.training, "run", None)
    again = Lab(tmp_path)
    assert experiment.run(TINY, again) == claims
    assert again.notes == lab.notes
