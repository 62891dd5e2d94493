"""Patches and stages of the experiment on first layers, verdicts of made-up shares, and a small run."""

import jax
import numpy as np
import pytest
import xarray as xr
from scipy import signal

from jaxtheory.experiments.puzzles import gabor_first_layers as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    photographs=("camera", "coins"), kinds=(experiment.PHOTOGRAPHS, experiment.UNTRAINED), filters=4, atoms=5,
    patches=100, steps=10, batch=10, atom_steps=3, frequencies=3, angles=3, draws=2,
)  # fmt: skip


def test_patches_are_normalized_and_the_places_those_of_noise():
    (x, y), (tested, answers) = experiment.seen(TINY, experiment.PHOTOGRAPHS, np.random.default_rng(0))
    assert x.shape == (200, 32, 32)
    assert tested.shape == (400, 32, 32)
    assert np.bincount(y).tolist() == [100, 100]
    assert np.bincount(answers).tolist() == [200, 200]
    np.testing.assert_allclose(x.mean((1, 2)), 0, atol=1e-5)
    assert np.quantile(x.std((1, 2)), [0.1, 1])[1] <= 1
    (noise, _), _ = experiment.seen(TINY, experiment.NOISE, np.random.default_rng(0))
    # Neighbors are alike in photographs, and are not in white noise.
    pairs = [np.corrcoef(one[:, :, 1:].ravel(), one[:, :, :-1].ravel())[0, 1] for one in (x, noise)]
    assert pairs[0] > 0.6
    assert abs(pairs[1]) < 0.02


def test_regions_do_not_meet(monkeypatch):
    columns = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (60, 1))
    edges = []

    def patches(parts, number, size, *, seed):
        del seed
        edges.append((parts[0].min(), parts[0].max()))
        return np.ones((number, size, size), np.float32)

    monkeypatch.setattr(experiment.real_images, "load", lambda *_, **__: columns)
    monkeypatch.setattr(experiment.real_images, "patches", patches)
    experiment.seen(TINY, experiment.PHOTOGRAPHS, np.random.default_rng(0))
    assert edges[0][1] < edges[1][0]
    assert edges[:2] == edges[2:]


@pytest.mark.beyond
def test_stages_are_those_of_the_network():
    init, logits, units = experiment.network(4, 11, 3)
    params = init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (2, 32, 32))
    first, some, pooled, second, last = np.moveaxis(np.asarray(units(params, x)), 1, 0)
    # By SciPy: the kernel at the place in the middle, and the largest of the blocks that begin there.
    kernel = np.asarray(params["convolutions"]["0"]["kernel"])[:, :, 0]
    padded = np.pad(np.asarray(x), ((0, 0), (4, 5), (4, 5)))
    maps = np.stack(
        [[signal.correlate2d(one, kernel[..., k], "valid")[::2, ::2] for k in range(4)] for one in padded]
    )
    maps = np.maximum(maps, 0)
    assert maps.shape[2:] == (16, 16)
    np.testing.assert_allclose(first, maps[:, :, 8, 8], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(some, maps[:, :, 8:10, 8:10].max((2, 3)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(pooled, maps[:, :, 8:12, 8:12].max((2, 3)), rtol=1e-3, atol=1e-4)
    assert second.shape == last.shape == (2, 4)
    assert np.all(last >= second - 1e-6)
    assert logits(params, x).shape == (2, 3)


def made_up(rng, learned=50.0, noise=0.0, undecayed=20.0, atoms=80.0, pooled=0.5):
    """Shares in percent and modulations with known differences."""

    def spread(*values):
        return np.array(values)[:, None] + rng.normal(0, 1, (len(values), 5))

    share = spread(learned, undecayed, noise, noise)
    coordinates = {"kind": list(experiment.KINDS), "draw": range(5)}
    stages = np.array([1.5, 1, pooled, 1.2, pooled])[:, None] + 0.01 * rng.random((4, 5, 5))
    return (
        xr.DataArray(share, coordinates, ("kind", "draw")),
        xr.DataArray(spread(atoms)[0], {"draw": range(5)}, ("draw",)),
        xr.DataArray(
            stages, coordinates | {"stage": list(experiment.STAGES)}, ("kind", "stage", "draw")
        ),
    )  # fmt: skip


def test_claims_follow_from_shares_and_modulations(rng):
    claims = experiment.claims(experiment.Config(), *made_up(rng))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 6
    assert [len(claim.measurements) for claim in claims] == [1, 1, 1, 1, 2, 1]
    assert claims[0].measurements[0].value == pytest.approx(50, abs=3)
    assert [one.value for one in claims[4].measurements] == pytest.approx([-0.5, -0.5], abs=0.02)
    bad = experiment.claims(
        experiment.Config(), *made_up(rng, learned=10, noise=30, undecayed=30, atoms=0, pooled=2.0)
    )
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 6


def test_kinds_that_are_not_there_are_not_tested(rng):
    share, atoms, modulation = made_up(rng)
    some = {"kind": [experiment.PHOTOGRAPHS, experiment.UNTRAINED]}
    claims = experiment.claims(experiment.Config(), share.sel(some), atoms, modulation.sel(some))
    told = [claim.verdict == Verdict.UNTESTED for claim in claims]
    assert told == [False, True, True, False, False, False]
    none = {"kind": [experiment.UNTRAINED]}
    claims = experiment.claims(experiment.Config(), share.sel(none), atoms, modulation.sel(none))
    assert all(claim.verdict == Verdict.UNTESTED for claim in claims)
    with pytest.raises(
        ValueError, match=r"^kinds holds 'noise': take of photographs, no weight decay, white no"
    ):
        experiment.run(experiment.Config(kinds=("noise",)), Lab())


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 0, 0, 0, 2, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {"kernels", "fits_and_phases"}
    assert len(lab.notes) == 3
