"""The pieces of the experiment on random labels against made-up accuracies, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.experiments.statistics import random_labels as experiment
from jaxtheory.lab import Lab, Verdict

KINDS = (experiment.TRUE, experiment.RANDOM)
TINY = experiment.Config(networks=("MLP",), kinds=KINDS, digits=100, draws=5, batch=50, most_epochs=60)
CONFIG = experiment.Config(kinds=KINDS, draws=6)


def measured(rng, train=100.0, chance=10.0, slower=3.0):
    """Accuracies and steps of both networks."""
    shape = (2, 2, 2, 6)
    dims = ("network", "mode", "kind", "draw")
    steps = np.array([50.0, 50 * slower])[:, None] * (1 + 0.02 * rng.random(shape))
    test = np.array([85.0, chance])[:, None] + rng.permutation(np.linspace(-1, 1, 6))
    return xr.Dataset(
        {
            "train": (dims, np.full(shape, train)),
            "test": (dims, np.broadcast_to(test, shape)),
            "steps": (dims, steps),
        },
        {
            "network": list(experiment.BODIES),
            "mode": list(experiment.MODES),
            "kind": list(KINDS),
            "draw": range(6),
        },
    )


def explicit(error=1e-9, beyond=0.0):
    return xr.Dataset({"error": ("draw", [error, error / 2]), "beyond": ("draw", [beyond, beyond])})


def test_claims_follow_from_accuracies_and_steps(rng):
    claims = experiment.claims(CONFIG, measured(rng), explicit(), 0.2)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 6
    assert claims[2].measurements[0].value == pytest.approx(0, abs=1e-9)
    assert claims[3].measurements[0].value == pytest.approx(3, rel=0.02)
    bad = experiment.claims(CONFIG, measured(rng, 98.0, 12.0, 0.5), explicit(1e-5, 3.0), 0.2)
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 6
    # Six draws from -1 to 1 at equal distances, around 12.
    error = np.linspace(-1, 1, 6).std(ddof=1) / 6**0.5
    assert bad[2].measurements[0].value == pytest.approx(2 / error)


def test_what_is_not_there_is_not_tested(rng):
    few = experiment.Config(networks=("MLP",), kinds=KINDS[:1], draws=6)
    found = measured(rng).sel(network=["MLP"], kind=[experiment.TRUE])
    claims = experiment.claims(few, found, explicit(), 0.2)
    told = [claim.verdict == Verdict.UNTESTED for claim in claims]
    assert told == [False, True, True, True, False, False]
    with pytest.raises(
        ValueError, match=r"^kinds holds 'noise': take of true labels, half of the labels ran"
    ):
        experiment.run(experiment.Config(kinds=("noise",)), Lab())


@pytest.mark.beyond
def test_kinds_of_labels_and_images():
    digits, config, lab = mnist.load(), experiment.Config(digits=100), Lab()
    (x, y), (queries, answers) = experiment.drawn(config, digits, lab, experiment.TRUE, 1)
    for kind in experiment.KINDS[1:]:
        (images, labels), (others, same) = experiment.drawn(config, digits, lab, kind, 1)
        assert images.shape == x.shape
        assert others.shape == queries.shape
        np.testing.assert_array_equal(same, answers)
        assert np.array_equal(labels, y) is (kind in experiment.IMAGES)
        assert np.array_equal(images, x) is (kind in experiment.LABELS)


@pytest.mark.beyond
def test_dropout_leaves_the_mean_and_is_off_without_a_key():
    init, logits = experiment.network("MLP")
    params, x = init(jax.random.key(0)), jax.random.uniform(jax.random.key(1), (2, 28, 28))
    keys = jax.random.split(jax.random.key(2), 2000)
    dropped = jax.vmap(lambda key: logits(params, x, 0.5, key))(keys)
    error = dropped.std(0) / len(keys) ** 0.5
    assert float(jnp.min(error)) > 0
    assert float(jnp.max(jnp.abs(dropped.mean(0) - logits(params, x)) / error)) < 4.5
    np.testing.assert_allclose(logits(params, x, 0.0, keys[0]), logits(params, x), rtol=1e-5)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [4, 0, 1, 2, 1, 1]
    assert all(np.isfinite(row.value) for claim in claims for row in claim.measurements)
    assert [claims[k].verdict for k in (0, 4, 5)] == [Verdict.HOLDS] * 3
    assert {figure["name"] for figure in lab.figures} == {"training", "test"}
