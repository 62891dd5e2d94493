"""The pieces of the experiment on unrolled pursuits against NumPy and the theorem, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.experiments.sparse import unrolled_ista as experiment
from jaxtheory.lab import Lab, Verdict
from jaxtheory.sparse import coherence
from tests.sparse.unrolled import dense

TINY = experiment.Config(features=60, atoms=80, layers=6, batch=16, steps=50, tested=200, penalties=4)


def test_signals_have_the_nonzeros_that_they_should():
    many, few = experiment.settings(TINY)
    codes = np.asarray(few.draw(jax.random.key(0), 300, 80, jnp.float32))
    assert ((codes != 0).sum(axis=1) == 2).all()
    assert codes[codes != 0].std() == pytest.approx(1, abs=0.1)
    assert len(np.unique(np.nonzero(codes)[1])) > 70
    assert np.mean(np.asarray(many.draw(jax.random.key(0), 300, 80, jnp.float32)) != 0) == pytest.approx(
        0.1, abs=0.01
    )
    assert many.selection == pytest.approx((0.012, 0.12))


def test_proximal_gradient_is_ista(rng, x64):
    dictionary, x = dense.unit(rng.standard_normal((12, 7))), rng.standard_normal((5, 7))
    found = experiment.proximal_gradient(dictionary, x, jnp.asarray(0.2), steps=6, accelerated=False)
    np.testing.assert_allclose(found, dense.ista(dictionary, x, 0.2, 6), rtol=1e-11, atol=1e-12)


def test_fista_comes_down_faster(rng, x64):
    dictionary, x = dense.unit(rng.standard_normal((12, 7))), rng.standard_normal((5, 7))

    def objective(accelerated):
        codes = experiment.proximal_gradient(
            dictionary, x, jnp.asarray(0.02), steps=40, accelerated=accelerated
        )[-1]
        return float(((x - codes @ dictionary) ** 2).sum() / 2 + 0.02 * np.abs(codes).sum())

    least = float(
        ((x - (z := dense.ista(dictionary, x, 0.02, 5000)[-1]) @ dictionary) ** 2).sum() / 2
        + 0.02 * np.abs(z).sum()
    )
    assert least <= objective(True) < objective(False)


def test_errors_by_group(rng):
    iterates, codes = rng.standard_normal((3, 40, 6)), rng.standard_normal((40, 6))
    found = experiment.by_group(jnp.asarray(iterates), jnp.asarray(codes))
    assert found.shape == (10, 3)
    expected = ((iterates[1, 4:8] - codes[4:8]) ** 2).sum() / (codes[4:8] ** 2).sum()
    assert found[1, 1] == pytest.approx(expected, rel=1e-5)


def test_the_line_is_that_of_the_later_layers():
    errors = np.array([0.0, -1.0, -50.0, -8.0, -11.0, -14.0])
    assert experiment.line(errors) == pytest.approx((-3, 1))
    assert experiment.line(np.array([0, 0, 0, 0, 1, 0, 1.0]))[1] < 0.9


def test_guarantees_hold_where_the_hypothesis_does(rng):
    dictionary = np.asarray(coherence.hadamard_dirac(32), float)
    codes = np.zeros((50, 64))
    for row in codes:
        row[rng.choice(64, 2, replace=False)] = rng.uniform(-1, 1, 2)
    found = experiment.guaranteed(dictionary, codes, 5)
    assert found["false"] == 0
    assert (found["largest"] <= found["bounds"]).all()
    assert found["bounds"][0] == pytest.approx(2 * np.abs(codes).max() * 3 / np.sqrt(32))
    many = rng.standard_normal((50, 64))
    assert experiment.guaranteed(dictionary, many, 5)["largest"][-1] > 1


def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [0, 4, 2, 2, 2, 1, 1]
    assert claims[0].verdict == Verdict.UNTESTED
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[5].verdict == claims[6].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"error_by_layer", "learnt"}
    assert len(lab.notes) == 9
    dense_one = experiment.Config(**{**vars(TINY), "sparsity": 20})
    assert not dense_one.sparsity < experiment.allowed_sparsity(coherence.gaussian(jax.random.key(2), 80, 60))
