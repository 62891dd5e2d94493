"""The pieces of the experiment on recovery against dense matrices and linear programming, and a small run."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import linprog

from jaxtheory.experiments.sparse import support_recovery as recovery
from jaxtheory.lab import Lab, Verdict

TINY = recovery.Config(
    features=16, frame=(12, 8), alternations=50, guaranteed=(1, 2), guaranteed_ratios=(1.0,),
    guaranteed_trials=6, sparsities=(1, 3), frame_sparsities=(1, 4), ratios=(1.0, 0.1), draws=2, trials=3,
)  # fmt: skip


def test_trials_are_drawn_as_they_are_described(rng):
    support, sign, size, noise = recovery.draw(rng, 400, 7, 5, 3)
    assert support.shape == (400, 3)
    assert all(len(set(row)) == 3 for row in support)
    counts = np.bincount(support.ravel(), minlength=7)
    assert np.abs(counts - 1200 / 7).max() < 5 * np.sqrt(1200 / 7)
    assert set(sign.ravel()) == {-1.0, 1.0}
    np.testing.assert_array_equal(size[:, :2], np.broadcast_to([0.0, 1.0], (400, 2)))
    np.testing.assert_allclose(np.linalg.norm(noise, axis=1), 1)
    assert (recovery.draw(rng, 4, 7, 5, 1)[2] == 0).all()


def test_steps_suffice_and_take_few_values():
    steps = {sparsity: recovery.most_steps(sparsity) for sparsity in range(1, 65)}
    assert all(value >= sparsity for sparsity, value in steps.items())
    assert len(set(steps.values())) == 3
    assert recovery.most_steps(96) == 96


def test_hypotheses_are_those_of_the_theorems():
    mu, none = 1 / 32, np.zeros(3)
    assert all(one.tolist() == [True] * 3 for one in recovery.hypotheses(mu, 0.0, 1.0, none, 16))
    assert not any(one.any() for one in recovery.hypotheses(mu, 0.0, 1.0, none, 17))

    def noisy(sparsity, noise=0.1):
        return recovery.hypotheses(mu, noise, 0.5, np.array([0.0, 0.05, 0.2]), sparsity)

    # (1 + 32 / 2) / 2 = 8.5, from which the noise takes 0, 1.6 or 6.4.
    assert noisy(7)[0].tolist() == [True, False, False]
    assert noisy(6)[0].tolist() == [True, True, False]
    # 16.5 - 32 / 10 = 13.3, and 33 / 3 = 11 where the smallest entry exceeds 7.5 norms.
    assert [noisy(s)[1][0] for s in (13, 14)] == [True, False]
    assert [noisy(s)[2][0] for s in (11, 12)] == [True, False]
    assert not noisy(1, noise=0.2)[2].any()


def test_what_is_sure_is_what_the_bounds_say():
    found = recovery.sure_sparsity(1 / 32, 0.1, np.array([1.0, 0.5]))
    np.testing.assert_allclose(found.sel(algorithm="thresholding"), [16.5 - 3.2, 8.5 - 1.6], rtol=1e-6)
    np.testing.assert_allclose(found.sel(algorithm="OMP"), 16.5 - 3.2, rtol=1e-6)
    np.testing.assert_allclose(found.sel(algorithm="basis pursuit"), 11, rtol=1e-6)
    np.testing.assert_allclose(recovery.sure_sparsity(1 / 32, 0.0, np.ones(1)), 16.5)


@pytest.fixture(scope="module")
def atoms():
    lab = Lab()
    return {name: recovery.dictionary(name, TINY, lab) for name in (recovery.GAUSSIAN, recovery.HADAMARD)}


@pytest.mark.beyond
def test_basis_pursuit_succeeds_where_linear_programming_does(atoms):
    matrix = atoms[recovery.GAUSSIAN].matrix
    found = recovery.recover(atoms, 12, recovery.GAUSSIAN, 0.0, 4, 0.3, np.random.default_rng(3))
    support, sign, size, _ = recovery.draw(np.random.default_rng(3), 12, *matrix.shape, 4)
    expected = []
    for places, signs, exponents in zip(support, sign, size):
        codes = np.zeros(len(matrix))
        codes[places] = signs * 0.3**exponents
        both = np.concatenate([matrix, -matrix]).T
        best = linprog(np.ones(2 * len(matrix)), A_eq=both, b_eq=codes @ matrix, bounds=(0, None)).x
        expected.append(np.abs(best[: len(matrix)] - best[len(matrix) :] - codes).max() < 1e-6)
    assert 0 < sum(expected) < 12
    np.testing.assert_array_equal(found["found"][2], expected)
    assert not found["unfinished"].any()


@pytest.mark.beyond
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_what_is_found_is_what_was_put_in(noise, atoms, rng):
    assert atoms[recovery.HADAMARD].mu == pytest.approx(0.25)
    found = recovery.recover(atoms, 6, recovery.HADAMARD, noise, 1, 1.0, rng)
    assert found["met"].shape == (3, 6)
    assert found["met"].all()
    assert found["found"].all()
    assert (found["error"] <= 1).all()
    # Fifteen entries in sixteen numbers are too many for anybody.
    found = recovery.recover(atoms, 6, recovery.HADAMARD, noise, 15, 0.1, rng)
    assert not found["met"].any()
    assert not found["found"].all(1).any()


def test_failures_are_counted_among_those_that_meet_the_hypothesis():
    values = {
        "met": [True, True, True, False],
        "found": [True, False, True, False],
        "error": [0.5, 0.5, 1.5, 9.0],
    }
    axes = {"noise": [0.0, 0.1], "algorithm": ["OMP"]}
    sweep = xr.Dataset(
        {name: (("noise", "algorithm", "trial"), np.array([[one], [one]])) for name, one in values.items()},
        axes,
    )
    # What a ragged grid lacks is NaN.
    lacking = sweep.astype(float).pad(trial=(0, 2))
    without, noisy = recovery.failures([sweep, lacking], "OMP")
    assert (without.value, without.at) == (4, {"noise": "without", "trials": "6"})
    assert noisy.at == {"noise": "with", "trials": "6"}


def test_half_of_the_trials_are_reached_between_two_sparsities():
    def reached(rates, sparsities=(2, 4, 8)):
        return float(recovery.reach(xr.DataArray(rates, {"sparsity": list(sparsities)}, ("sparsity",))))

    assert reached([1, 0.75, 0.25]) == 6
    assert reached([1, 0.75, np.nan]) == 4
    assert reached([0.25, 0.75, 0]) == 2
    assert reached([np.nan, 1, 0.0], (1, 4, 16)) == 10


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = recovery.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 2, 2, 9, 2, 3]
    assert all(claim.verdict == Verdict.HOLDS for claim in claims[:3])
    assert all(int(one.at["trials"]) >= 12 for claim in claims[:3] for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {
        "phases_without_noise", "phases_with_noise", "recovery_and_error"
    }  # fmt: skip
    assert len(lab.notes) == 5
