"""The pieces of the experiment on energies of molecules, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr
from scipy.io import savemat
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import laplacian_kernel
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from jaxtheory.data import molecules
from jaxtheory.data.errors import MissingDataError
from jaxtheory.experiments.harmonic import molecule_energies as experiment
from jaxtheory.harmonic import scattering3d
from jaxtheory.lab import Lab, Need, Verdict
from jaxtheory.lab.errors import Usage

HERE = Need("QM9 or QM7", True, "install it")
WATER = (np.array([1, 8, 1]), np.array([[0.0, 2.4, 1.8], [0.0, 0.0, 0.0], [0.0, -2.4, 1.8]]))


def test_charges_are_split_at_closed_shells():
    #                   none H He Li C  F  Ne  Na  Si  Cl
    charges = np.array([0, 1, 2, 3, 6, 9, 10, 11, 14, 17])
    outer, core, full = experiment.channels(charges)
    # The number of the group in the periodic table, by hand.
    np.testing.assert_array_equal(outer, [0, 1, 2, 1, 4, 7, 8, 1, 4, 7])
    np.testing.assert_array_equal(core, [0, 0, 0, 2, 2, 2, 2, 10, 10, 10])
    np.testing.assert_array_equal(full, charges)


def test_principal_axes_do_not_depend_on_how_a_molecule_lies(rng):
    charges = np.array([6, 1, 1, 8, 0])
    atoms = np.zeros((5, 3))
    atoms[:4] = rng.standard_normal((4, 3)) * [1, 2, 3]
    found = experiment.principal(charges, atoms)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn *= np.linalg.det(turn)
    again = experiment.principal(charges, np.where(charges[:, None] > 0, atoms @ turn.T + 5, 0))
    np.testing.assert_allclose(np.abs(again), np.abs(found), atol=1e-12)
    there = found[:4]
    # Longest first, uncorrelated, in the middle, and what is no atom stays at the origin.
    spread = np.cov(there.T)
    np.testing.assert_allclose(spread, np.diag(np.sort(np.diag(spread))[::-1]), atol=1e-12)
    np.testing.assert_allclose(there.max(0), -there.min(0))
    np.testing.assert_array_equal(found[4], 0)
    # A rotation, and no reflection: edges span the same signed volume.
    volumes = [np.linalg.det(one[1:4] - one[0]) for one in (atoms, found, again)]
    np.testing.assert_allclose(volumes, volumes[0])


def test_coulomb_matrix_of_water_by_hand():
    charges, atoms = WATER
    padded = np.array([[*charges, 0]]), np.array([[*atoms, np.zeros(3)]])
    near, far = 8 / (3.0 / molecules.BOHR), 1 / (4.8 / molecules.BOHR)
    # Oxygen first; rows of the upper triangle, the last atom being none.
    expected = [0.5 * 8**2.4, near, near, 0, 0.5, far, 0, 0.5, 0, 0]
    np.testing.assert_allclose(experiment.coulomb(*padded), [expected])
    shuffled = [one[:, [3, 2, 0, 1]] for one in padded]
    np.testing.assert_allclose(experiment.coulomb(*shuffled), [expected])


def test_ridge_is_scikit_learns(rng, monkeypatch):
    x, new = rng.standard_normal((30, 5)), rng.standard_normal((7, 5)) + 1
    energies = 100 + x @ rng.standard_normal(5) + 0.5 * rng.standard_normal(30)
    centered = x - x.mean(0)
    largest = np.linalg.eigvalsh(centered.T @ centered)[-1]
    penalties = np.array([1e-4, 1e-2, 0.3, 3.0])
    left_out = []
    for penalty in penalties:
        monkeypatch.setattr(experiment, "PENALTIES", np.array([penalty]))
        error, found = experiment.ridge(x @ x.T, new @ x.T, energies)
        peer = Ridge(alpha=penalty * largest)
        np.testing.assert_allclose(found, peer.fit(x, energies).predict(new), rtol=1e-9)
        # The closed form against thirty regressions.
        without = cross_val_predict(peer, x, energies, cv=LeaveOneOut())
        np.testing.assert_allclose(error, np.abs(without - energies).mean(), rtol=1e-9)
        left_out.append(error)
    monkeypatch.setattr(experiment, "PENALTIES", penalties)
    assert experiment.ridge(x @ x.T, new @ x.T, energies)[0] == pytest.approx(min(left_out))


def test_kernels_are_of_products_and_of_distances(rng):
    features = rng.standard_normal((9, 4)) * [1, 10, 100, 0] + 3
    train, test = np.arange(6), np.arange(6, 9)
    x = (features[:, :3] - features[:6, :3].mean(0)) / features[:6, :3].std(0) / np.sqrt(3)
    (pair,) = experiment.kernels("scattering, linear", features, train, test)
    np.testing.assert_allclose(pair[0], x[:6] @ x[:6].T, atol=1e-12)
    products = np.einsum("ni,nj->nij", x, x).reshape(9, -1)
    triples = np.einsum("ni,nj->nij", products, x).reshape(9, -1)
    found = zip(
        experiment.PRODUCTS,
        experiment.kernels("scattering, pairs", features, train, test),
        experiment.kernels("scattering, triples", features, train, test),
    )
    for t, (_, two), (_, three) in found:
        explicit = np.concatenate([np.sqrt(2) * x, np.sqrt(t) * products], axis=1)
        np.testing.assert_allclose(two, explicit[6:] @ explicit[:6].T, rtol=1e-9)
        explicit = np.concatenate([np.sqrt(3) * x, np.sqrt(3 * t) * products, t * triples], axis=1)
        np.testing.assert_allclose(three, explicit[6:] @ explicit[:6].T, rtol=1e-9)
    middle = np.mean([np.abs(one - features[:6]).sum(1) for one in features[:6]])
    for width, (own, others) in zip(
        experiment.WIDTHS, experiment.kernels("Coulomb kernel", features, train, test), strict=True
    ):
        gamma = 1 / (width * middle)
        np.testing.assert_allclose(own, laplacian_kernel(features[:6], gamma=gamma), rtol=1e-9)
        np.testing.assert_allclose(others, laplacian_kernel(features[6:], features[:6], gamma=gamma))


@pytest.mark.beyond
def test_coefficients_are_of_each_molecule_and_channel(tmp_path):
    config = experiment.Config(shape=(16, 16, 16), J=1, L=1, batch=4)
    charges = np.stack([WATER[0], [0, 2, 0], [1, 8, 1]])
    positions = np.stack([WATER[1], np.zeros((3, 3)), WATER[1]])
    found = experiment.in_batches(config, Lab(tmp_path), charges, positions)
    found = found.reshape(3, 3, -1, len(experiment.POWERS))
    # Of order 0 and power 1: the charges; helium has no core.
    np.testing.assert_allclose(found[:, :, 0, 1], [[8, 2, 10], [2, 0, 2], [8, 2, 10]], atol=1e-3)
    np.testing.assert_array_equal(found[1, 1], 0)
    np.testing.assert_allclose(found[0], found[2], rtol=1e-5)
    assert found.shape[2] == len(scattering3d.paths(scattering3d.filter_bank((16, 16, 16), 1, 1)))
    # Moves by whole pixels change nothing, the others a little.
    moved = experiment.changes(config, charges, positions, 16, np.array([0, 1]), 1, np.random.default_rng(0))
    assert moved["whole"][1:].max() < 1e-4 < moved["shifted"].max() < 0.2


def test_each_molecule_is_tested_once_and_known_energies_are_found(rng):
    charges = rng.integers(1, 3, (23, 6))
    energies = 5.0 - 3.0 * (charges == 1).sum(1) + 0.1 * rng.standard_normal(23)
    made = molecules.Molecules(charges, np.zeros((23, 6, 3)), energies, ("",) * 23, "made", "")
    features = {"counts": made.counts().astype(float), "scattering": np.zeros((23, 1))}
    order = rng.permutation(23)[:20]
    found = [experiment.errors_of(made, features, order, 4, fold, 15, "counts") for fold in range(4)]
    np.testing.assert_array_equal(np.concatenate([one["true"] for one in found]), energies[order])
    assert max(one["error"] for one in found) < 0.3
    one = found[0]
    assert one["error"] == pytest.approx(np.abs(one["predicted"] - one["true"]).mean())


def test_molecules_that_do_not_fit_are_left_out(tmp_path):
    g2 = molecules.load()
    lab = Lab(tmp_path)
    data, positions = experiment.placed(experiment.QUICK, lab, g2)
    assert len(data) == len(positions) == 148
    assert not lab.notes
    small = experiment.Config(shape=(20, 20, 16), scale=3.0)
    data, positions = experiment.placed(small, lab, g2)
    assert 74 < len(data) < 148
    assert positions.shape[:2] == data.charges.shape
    assert np.abs(positions).max() <= 19 / 2 - 3
    assert (
        "do not fit into the box and are left out: they take a shape of at least 24 x 22 x 16" in lab.notes[0]
    )
    with pytest.raises(Usage, match="most molecules do not fit into --shape: all of them take a shape of"):
        experiment.placed(experiment.Config(shape=(10, 10, 10)), lab, g2)


def test_which_molecules_are_taken(tmp_path, monkeypatch):
    def missing(**_):
        raise MissingDataError("not there")

    monkeypatch.setattr(experiment.molecules, "qm9", missing)
    data, need = experiment.chosen(experiment.Config(), Lab(tmp_path))
    assert len(data) == 148
    assert not need.met
    data, need = experiment.chosen(experiment.Config(source="g2", molecules=50), Lab(tmp_path))
    assert len(data) == 50
    assert need.met
    atoms = {"Z": np.array([[8, 1, 1]]), "R": WATER[1][None], "T": np.array([[-220.0]])}
    savemat(tmp_path / "qm7.mat", atoms)
    data, need = experiment.chosen(experiment.Config(), Lab(tmp_path, data_dir=tmp_path))
    assert data.names == ("QM7 0",)
    assert need.met


def made_errors(levels, slope, bend=0.0, folds=5):
    """Errors by fold, training molecules and model that fall as a power of their number, bent."""
    rng = np.random.default_rng(0)
    sizes = np.array([100, 200, 400, 800])
    curve = (sizes / 800.0) ** slope * np.exp(bend * np.array([1, -1, -1, 1]))
    values = curve[:, None] * np.array(levels) * np.exp(0.005 * rng.standard_normal((folds, 4, 5)))
    axes = {"fold": range(folds), "training": sizes, "model": list(experiment.MODELS)}
    return xr.DataArray(values, axes, tuple(axes))


def test_lines_are_those_of_powers():
    slope, bend = experiment.lines(made_errors([1, 2, 3, 4, 5], -0.5))
    np.testing.assert_allclose(slope, -0.5, atol=0.02)
    assert bend.max() < 3
    _, bend = experiment.lines(made_errors([1, 2, 3, 4, 5], -0.5, bend=0.2))
    np.testing.assert_allclose(bend, 100 * (np.exp(0.2) - 1), atol=3)


def test_claims_follow_from_errors():
    good = experiment.energy_claims(made_errors([16, 5, 3, 2, 2], -0.5), HERE)
    assert [claim.verdict for claim in good] == [Verdict.HOLDS] * 6
    bad = experiment.energy_claims(made_errors([1, 0.5, 3, 4, 5], 0.5, bend=0.3), HERE)
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 6
    missing = experiment.energy_claims(
        made_errors([16, 5, 3, 2, 2], -0.5), Need("QM9 or QM7", False, "install it")
    )
    assert [claim.verdict for claim in missing] == [Verdict.UNTESTED] * 6


def test_claims_follow_from_the_largest_change():
    axes = {"molecule": range(3), "power": list(experiment.POWERS)}

    def made(whole, roots, others):
        row = np.array([roots, others, others, others])
        turned = xr.DataArray(np.array([row, row / 2, row / 3]), axes, tuple(axes))
        return xr.Dataset({"rotated": turned, "shifted": turned, "whole": turned * 0 + whole})

    claims = experiment.invariance_claims(made(1e-6, 9e-3, 2.9e-3))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 4
    claims = experiment.invariance_claims(made(2e-4, 1.1e-2, 3.1e-3))
    assert [claim.verdict for claim in claims] == [Verdict.FAILS] * 4


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    tiny = experiment.Config(
        source="g2",
        molecules=50,
        shape=(24, 24, 16),
        scale=2.0,
        J=1,
        L=1,
        batch=25,
        folds=3,
        halvings=2,
        moved=2,
    )
    claims = experiment.run(tiny, Lab(tmp_path))
    assert len(claims) == 10
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measured)
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"errors", "predictions"}
