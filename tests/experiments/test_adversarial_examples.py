"""The pieces of the experiment on adversarial examples against NumPy, its verdicts, and a miniature of it."""

import jax
import numpy as np
import pytest
import scipy.special
import xarray as xr

from jaxtheory.experiments.puzzles import adversarial_examples as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(digits=500, units=8, pieces=2, epochs=20, draws=2)


@pytest.mark.beyond
def test_a_maxout_unit_is_the_largest_of_its_pieces(rng):
    params = experiment.init(jax.random.key(0), 6, 3)
    assert [layer["kernel"].shape for layer in params] == [(784, 6, 3), (6, 6, 3), (6, 10, 1)]
    x = np.float32(rng.uniform(size=(4, 28, 28)))
    expected = x.reshape(4, 784)
    for layer in params:
        kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
        expected = (np.einsum("ni,iuk->nuk", expected, kernel) + bias).max(2)
    np.testing.assert_allclose(experiment.maxout(params, x), expected, rtol=1e-4, atol=1e-5)


def test_errors_and_confidences_are_those_of_wrong_answers(rng):
    z, labels = np.float32(rng.standard_normal((50, 4))), rng.integers(0, 4, 50)
    wrong = z.argmax(1) != labels
    error, confidence = experiment.judged(z, labels)
    assert error == pytest.approx(100 * wrong.mean())
    assert confidence == pytest.approx(100 * scipy.special.softmax(z, axis=1).max(1)[wrong].mean(), rel=1e-5)
    assert np.isnan(experiment.judged(z, z.argmax(1))[1])


@pytest.mark.beyond
def test_a_linear_model_is_attacked_as_the_closed_form_says(rng):
    weights = np.float32(rng.standard_normal((784, 2)))
    bias = np.float32([0.5, -0.5])
    x, y = np.float32(rng.uniform(size=(40, 28, 28))), rng.integers(0, 2, 40)
    chosen = np.arange(40) % 2 == 0
    found = experiment.attacked(
        experiment.linear, (weights, bias), x, y, chosen, jax.random.key(0), epsilon=0.01
    )
    slope = weights[:, 1] - weights[:, 0]
    margin = np.where(y == 1, 1, -1) * (x.reshape(40, 784) @ slope + bias[1] - bias[0])
    expected = [margin < 0, margin < 0.01 * np.abs(slope).sum()]
    at = dict(zip(experiment.CHANGES, found["error"]))
    assert at[experiment.NONE] == pytest.approx(100 * expected[0][chosen].mean())
    assert at[experiment.ATTACK] == pytest.approx(100 * expected[1][chosen].mean())
    assert found["shown"].shape == (3, experiment.SHOWN, 28, 28)
    assert np.abs(found["shown"] - found["shown"][0]).max() <= 0.01 + 1e-6


def measured(**others):
    """Draws as they come out where all is as in the paper, but for what is told otherwise."""
    values = {"softmax regression": 99.9, "3 against 7": 99.5, "maxout network": 89.4, "signs": 3.0} | others
    spread = np.array([-0.1, 0.0, 0.1])
    error = np.full((3, 3, 5), 1.0)
    for place, model in enumerate(experiment.MODELS):
        error[place, :, 1] = values[model] + spread
        error[place, :, 2] = values["signs"] + spread
    axes = ("model", "draw", "change")
    return xr.Dataset(
        {"error": (axes, error)}, {"model": list(experiment.MODELS), "change": list(experiment.CHANGES)}
    )


@pytest.mark.parametrize(
    ("others", "places"),
    [
        ({}, []), ({"softmax regression": 98.0}, [0]), ({"3 against 7": 98.0}, [1]),
        ({"maxout network": 80.0}, [2]), ({"signs": 20.0}, [3]),
    ],
)  # fmt: skip
def test_verdicts(others, places):
    verdicts = [claim.verdict for claim in experiment.claims(measured(**others), 0.2)]
    assert [k for k, one in enumerate(verdicts) if one == Verdict.FAILS] == places
    assert verdicts.count(Verdict.HOLDS) == 4 - len(places)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [claim.measured[0].n for claim in claims] == [2, 2, 2, 2]
    assert all(claim.verdict == Verdict.HOLDS for claim in claims[:3])
    assert {figure["name"] for figure in lab.figures} == {"errors", "digits"}
    assert len(lab.notes) == 3
