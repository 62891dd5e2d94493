"""The pieces of the experiment on unfolded networks, and a run in miniature that is resumed."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.sparse import unrolled_cnn as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(networks=("CNN",), draws=1, epochs=0.1, atoms=(2, 3, 4), batch=20, rate=0.01)


def accuracies(values):
    return xr.DataArray(values, {"network": list(experiment.NETWORKS)}, ("network", "draw"))


def test_the_rate_falls_as_the_papers_does():
    optimizer = experiment.optimizer(0.1, 100)
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


@pytest.mark.beyond
def test_networks_of_one_key_begin_alike():
    one, other = (
        experiment.init(jax.random.key(3), name, atoms=TINY.atoms)
        for name in ("CNN", "ML-FISTA, 6 unfoldings")
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)):
        np.testing.assert_array_equal(a, b)
    assert other.unfoldings == 6
    assert other.accelerated


@pytest.mark.parametrize("name", experiment.NETWORKS)
def test_the_papers_network_has_its_number_of_parameters(name):
    assert experiment.parameters(name) == 604_909


def test_unfolding_is_compared_draw_by_draw():
    gains = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.4, 0.5, 0.6], [-1.0, 0.0, 1.0]])
    claim = experiment.help_claim(accuracies(np.array([97.0, 98.0, 99.0]) + gains))
    assert [one.value for one in claim.measurements] == pytest.approx([0.5, 0.5, 0.0])
    assert claim.measurements[1].standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert claim.verdict == Verdict.TIE
    alone = experiment.help_claim(accuracies(gains).sel(network=["CNN"]))
    assert alone.verdict == Verdict.UNTESTED


def test_published_figures_are_for_the_papers_recipe(tmp_path):
    found = accuracies(np.add([[97.0], [99.0], [99.125], [99.125]], [-0.01, 0, 0.01]))
    paper, whole = experiment.Config(paper=True), Lab(tmp_path, data_dir=tmp_path)
    claims = experiment.published_claims(found, paper, whole)
    assert [claim.verdict for claim in claims] == [Verdict.FAILS, Verdict.HOLDS, Verdict.HOLDS]
    assert claims[0].expected.text == "98.74 %"
    claims = experiment.published_claims(found, experiment.Config(), Lab(tmp_path / "other"))
    assert {claim.verdict for claim in claims} == {Verdict.UNTESTED}
    assert {claim.measured_text for claim in claims} == {"needs the paper's recipe and the whole MNIST"}


@pytest.mark.beyond
def test_a_run_in_miniature_is_resumed(tmp_path, monkeypatch):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [4, 0, 1, 0, 0]
    assert claims[0].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"accuracy", "loss"}
    monkeypatch.setattr(experiment.training, "run", None)
    again = Lab(tmp_path)
    assert experiment.run(TINY, again) == claims
    assert again.notes == lab.notes
