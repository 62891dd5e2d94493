"""The pieces of the experiment on the Hessian's spectrum against NumPy, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy import special

from jaxtheory.data import mnist
from jaxtheory.experiments.landscape import hessian_spectrum as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(networks=("MLP",), classes=(2, 4), draws=2, digits=120, steps=50, batch=60)


@pytest.fixture(scope="module")
def digits():
    return mnist.load()


def test_digits_are_those_of_the_first_classes(digits, rng):
    batch = experiment.draw(digits, TINY, "MLP", 4, True, rng)
    assert batch.x.shape == (120, 196)
    assert set(batch.y) == {0, 1, 2, 3}
    assert batch.used.tolist() == [[True] * 4 + [False] * 6] * 120
    assert batch.squared.all()
    again = experiment.draw(digits, TINY, "CNN", 4, False, np.random.default_rng(0))
    assert again.x.shape == (120, 14, 14)
    first = digits.train_images[
        np.random.default_rng(0).permutation(np.flatnonzero(digits.train_labels < 4))[0]
    ]
    assert again.x[0, 5, 7] == pytest.approx(first[10:12, 14:16].mean())
    with pytest.raises(ValueError, match="digits is 5000: take at most 783, as there are of 2 classes"):
        experiment.draw(digits, experiment.Config(digits=5000), "MLP", 2, False, rng)


@pytest.mark.beyond
def test_outputs_that_are_not_used_do_not_count(digits, rng):
    functional, loss, accuracy = experiment.functions("small MLP")
    params, _ = functional.init(jax.random.key(0))
    differentiated = jax.jit(jax.value_and_grad(loss))
    for squared in (False, True):
        batch = experiment.draw(digits, TINY, "small MLP", 4, squared, rng)
        outputs = np.asarray(functional.apply(params, {}, batch.x)[0], float)[:, :4]
        targets = np.eye(4)[batch.y]
        if squared:
            expected = ((outputs - targets) ** 2).sum(1).mean() / 2
        else:
            expected = -np.log(special.softmax(outputs, 1)[targets == 1]).mean()
        value, gradient = differentiated(params, batch)
        assert float(value) == pytest.approx(expected, rel=1e-5)
        head = gradient["layers"]["1"]
        assert (head["bias"][4:] == 0).all()
        assert (head["kernel"][:, 4:] == 0).all()
        assert (head["bias"][:4] != 0).all()
        assert float(accuracy(params, batch)) == pytest.approx((outputs.argmax(1) == batch.y).mean())


def test_outliers_end_where_the_ratio_is_largest():
    values = np.array([9.0, 8.0, 7.0, 2.0, 1.9, 0.1, 1e-9])
    assert experiment.outliers(values, 2) == 3
    assert experiment.outliers(values, 3) == 6
    assert experiment.outliers(np.array([1.0, 0.9, 0.1, -0.2, -0.3]), 2) == 3


@pytest.mark.beyond
def test_training_keeps_the_first_parameters_that_pass(digits, rng):
    batch = experiment.draw(digits, TINY, "MLP", 2, False, rng)
    options = {"network": "MLP", "batch": 60}
    (start, kept, end), accuracies = experiment.train(jax.random.key(0), batch, steps=50, **options)
    first = int(np.argmax(accuracies > 0.95))
    assert accuracies[first] > 0.95
    assert (accuracies[:first] <= 0.95).all()
    assert 5 * (first + 1) < 50
    (_, _, short), _ = experiment.train(jax.random.key(0), batch, steps=5 * (first + 1), **options)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-6), kept, short)
    assert float(experiment.functions("MLP")[2](end, batch)) == pytest.approx(float(accuracies[-1]))
    moved = jax.tree.map(lambda one, other: jnp.max(jnp.abs(one - other)), start, end)
    assert min(jax.tree.leaves(moved)) > 0


def test_claims_count_pairs():
    missed = xr.DataArray(
        [[[[0, 0], [1, np.nan]]]],
        {"network": ["MLP"], "loss": ["cross-entropy"], "classes": [2, 3]},
        ("network", "loss", "classes", "draw"),
    )
    right, near = experiment.count_claims(missed, "MLP", "cross-entropy", 90)
    assert right.measurements[0].value == 50
    assert near.measurements[0].value == 75
    assert {right.verdict, near.verdict} == {Verdict.FAILS}
    absent, _ = experiment.count_claims(missed, "CNN", "cross-entropy", 90)
    assert absent.verdict == Verdict.UNTESTED
    assert "take CNN among --networks" in absent.reason


def test_unknown_networks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="networks holds 'RNN': take of MLP and CNN"):
        experiment.run(experiment.Config(networks=("MLP", "RNN")), Lab(tmp_path))


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1, 0, 0, 1, 1, 1, 1]
    assert [claim.verdict == Verdict.UNTESTED for claim in claims] == [False] * 2 + [True] * 2 + [False] * 4
    assert claims[6].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"leading_eigenvalues", "counts", "density"}
    assert len(lab.notes) == 3
