"""The pieces of the experiment on instability against closed forms, and a run in miniature."""

import dataclasses

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.experiments.puzzles import source_of_instability as experiment
from jaxtheory.lab import Lab, Verdict
from jaxtheory.sparse.unrolled import unfolding

CONFIG = experiment.Config(sizes=(500, 1000, 2000))
NETWORKS = (*experiment.RIVALS, *experiment.sizes_of(CONFIG))
TINY = dataclasses.replace(
    experiment.QUICK, sides=(4, 7), digits=100, sizes=(100, 200), draws=2, attacked=10, attack_steps=2,
    steps=20,
)  # fmt: skip


def found(rng, errors=(4.0, 9.0, 9.5, 7.0, 4.5), kept=(60.0, 80.0, 40.0, 50.0, 70.0)):
    """Errors and robust accuracies of given means, with a little noise that networks of a draw share."""
    shape = (len(NETWORKS), CONFIG.draws)
    noise = rng.random(CONFIG.draws)
    robust = np.array(kept)[:, None] + noise + 0.1 * rng.random(shape)
    values = {
        "clean error": np.array(errors)[:, None] + noise,
        "distance": 1 + noise + np.zeros(shape),
        "taken": np.zeros(shape),
        "too near": np.zeros(shape),
        "over bound": 5 + noise + np.zeros(shape),
        "over gradient": 1 + noise + np.zeros(shape),
        "bound error": 2 + 0.1 * rng.random(shape),
        "gradient error": 0.2 + 0.1 * rng.random(shape),
    }
    dims = ("network", "draw")
    arrays = {name: (dims, one) for name, one in values.items()}
    arrays["robust accuracy"] = ((*dims, "norm", "size"), robust[..., None, None] + np.zeros((2, 3)))
    coordinates = {"network": list(NETWORKS), "draw": range(CONFIG.draws), "norm": list(CONFIG.norms)}
    return xr.Dataset(arrays, coordinates)


def flat(rng, lengths=(40.0, 70.0, 110.0)):
    dims, shape = ("side", "draw"), (3, CONFIG.draws)
    values = {"length": np.array(lengths)[:, None] + rng.random(shape), "deviation": 1e-7 * rng.random(shape)}
    values |= dict.fromkeys(("margin", "clean error", "error"), np.ones(shape))
    coordinates = {"side": list(CONFIG.sides), "draw": range(CONFIG.draws)}
    return xr.Dataset({name: (dims, one) for name, one in values.items()}, coordinates)


def test_claims_compare_with_the_cnn_of_equal_clean_error(rng):
    results = found(rng)
    assert experiment.matched(CONFIG, results, experiment.SCATTERING) == "CNN, 2000 digits"
    assert experiment.matched(CONFIG, results, experiment.PURSUIT) == "CNN, 500 digits"
    claims = experiment.claims(CONFIG, flat(rng), results, 0.2)
    assert [claim.verdict for claim in claims[:4]] == [Verdict.HOLDS] * 4
    # Scattering keeps ten points less than its CNN, the pursuit forty more.
    assert [claim.verdict for claim in claims[4:]] == [Verdict.FAILS] * 2 + [Verdict.HOLDS] * 2
    assert claims[4].measurements[0].value == pytest.approx(-10, abs=0.1)
    assert claims[6].measurements[0].value == pytest.approx(40, abs=0.1)
    far = experiment.claims(CONFIG, flat(rng, (40.0, 70.0, 60.0)), found(rng, (2.0, 9.0, 9.5, 7.0, 4.5)), 0.2)
    assert far[1].verdict == Verdict.FAILS
    assert [claim.verdict for claim in far[4:6]] == [Verdict.UNTESTED] * 2
    assert far[4].reason.startswith("needs a CNN whose clean error is within 1 point of that of scattering")


def test_notes_say_plainly_who_wins(rng, tmp_path):
    lab = Lab(tmp_path)
    experiment.notes(CONFIG, flat(rng), found(rng), lab, 0.2)
    assert sum(note.endswith(": the CNN wins.") for note in lab.notes) == 6
    assert sum(note.endswith(": ML-ISTA wins.") for note in lab.notes) == 6


@pytest.mark.beyond
def test_the_product_of_norms_is_that_of_the_layers_matrices():
    params = unfolding.init(
        jax.random.key(0),
        (mnist.SIDE, mnist.SIDE),
        atoms=(2, 3),
        kernel_size=(6, 4),
        strides=(7, 1),
        unfoldings=0,
    )
    x = np.zeros((1, 28, 28, 1), np.float32)
    product, axes = 1.0, ("NHWC", "HWIO", "NHWC")
    for kernel, stride in zip(params.filters, params.strides):

        def convolve(x, kernel=kernel, stride=stride):
            return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "VALID", dimension_numbers=axes)

        matrix = np.asarray(jax.jacobian(convolve)(x))
        x = np.asarray(convolve(x))
        product *= np.linalg.norm(matrix.reshape(x.size, -1), 2)
    assert float(experiment.layer_norms(params, jax.random.key(1))) == pytest.approx(product, rel=2e-3)


def test_as_many_radii_as_epsilons_are_asked_for(tmp_path):
    config = dataclasses.replace(TINY, radii=(1.0,))
    with pytest.raises(ValueError, match=r"radii are \(1.0,\): take as many as the epsilons, \(0.05, 0.1\)"):
        experiment.run(config, Lab(tmp_path))


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    # What a theorem or arithmetic says holds of any model.
    assert [claims[k].verdict for k in (0, 2)] == [Verdict.HOLDS] * 2
    assert [claim.verdict for claim in claims[6:]] == [Verdict.UNTESTED] * 2
    assert {figure["name"] for figure in lab.figures} == {"robust"}
    assert lab.notes[0].startswith("Side 4: mean l1 norm")
    distances = [note for note in lab.notes if "median distance" in note]
    assert len(distances) == 3
    assert all("times that of the bound" in note for note in distances)
