"""The pieces of the experiment on recovery against dense matrices and linear programming, and a small run."""

import jax
import numpy as np
import pytest
from scipy.optimize import linprog

from jaxtheory.experiments.sparse import support_recovery as recovery
from jaxtheory.lab import Lab, Sweep, Verdict
from jaxtheory.sparse import coherence

TINY = recovery.Config(
    features=16,
    frame=(12, 8),
    alternations=50,
    guaranteed=(1, 2),
    guaranteed_ratios=(1.0,),
    guaranteed_draws=6,
    sparsities=(1, 3),
    frame_sparsities=(1, 4),
    ratios=(1.0, 0.1),
    draws=6,
)


@pytest.mark.parametrize("features", [8, 16])
def test_the_pair_is_the_dictionary(features, rng):
    matrix = np.asarray(coherence.hadamard_dirac(features))
    apply, adjoint = recovery.hadamard_dirac(features)
    codes, signals = (
        np.float32(rng.standard_normal((3, 2 * features))),
        np.float32(rng.standard_normal(features)),
    )
    np.testing.assert_allclose(apply(codes), codes @ matrix, atol=1e-5)
    np.testing.assert_allclose(adjoint(signals), matrix @ signals, atol=1e-5)


def test_trials_are_drawn_as_they_are_described():
    drawn = recovery.draw(jax.random.key(0), atoms=7, features=5, sparsity=3, number=400)
    assert drawn["support"].shape == (400, 3)
    assert all(len(set(row)) == 3 for row in drawn["support"])
    counts = np.bincount(drawn["support"].ravel(), minlength=7)
    assert np.abs(counts - 1200 / 7).max() < 5 * np.sqrt(1200 / 7)
    assert set(drawn["sign"].ravel()) == {-1.0, 1.0}
    np.testing.assert_array_equal(drawn["size"][:, :2], np.broadcast_to([0.0, 1.0], (400, 2)))
    np.testing.assert_allclose(np.linalg.norm(drawn["noise"], axis=1), 1)
    single = recovery.draw(jax.random.key(0), atoms=7, features=5, sparsity=1, number=4)
    assert (single["size"] == 0).all()


def test_steps_suffice_and_take_few_values():
    steps = {sparsity: recovery.most_steps(sparsity) for sparsity in range(1, 65)}
    assert all(value >= sparsity for sparsity, value in steps.items())
    assert len(set(steps.values())) == 3
    assert recovery.most_steps(96) == 96


def test_hypotheses_are_those_of_the_theorems():
    mu = 1 / 32
    seen = np.array([0.0, 0.05, 0.2])
    found = recovery.met(mu, 0.0, 1.0, 0.0, np.zeros(3), 16)
    assert all(one.tolist() == [True] * 3 for one in found.values())
    assert not any(one.any() for one in recovery.met(mu, 0.0, 1.0, 0.0, np.zeros(3), 17).values())
    # (1 + 32 / 2) / 2 = 8.5, from which the noise takes 0, 1.6 or 6.4.
    assert recovery.met(mu, 0.1, 0.5, 0.05, seen, 7)["thresholding"].tolist() == [True, False, False]
    assert recovery.met(mu, 0.1, 0.5, 0.05, seen, 6)["thresholding"].tolist() == [True, True, False]
    # 16.5 - 32 / 10 = 13.3, and 33 / 3 = 11 where the smallest entry exceeds 7.5 norms.
    assert [recovery.met(mu, 0.1, 0.5, 0.05, seen, s)["OMP"][0] for s in (13, 14)] == [True, False]
    assert [recovery.met(mu, 0.1, 0.5, 0.05, seen, s)["basis pursuit"][0] for s in (11, 12)] == [True, False]
    assert not recovery.met(mu, 0.2, 0.5, 0.1, seen, 1)["basis pursuit"].any()


def test_basis_pursuit_succeeds_where_linear_programming_does(tmp_path):
    atoms = recovery.dictionary(recovery.GAUSSIAN, TINY, Lab(tmp_path))
    count, features = atoms.matrix.shape
    drawn = recovery.draw(jax.random.key(3), atoms=count, features=features, sparsity=4, number=6)
    found = recovery.recover(atoms, drawn, 0.3, 0.0)
    expected = []
    for support, sign, size in zip(drawn["support"], drawn["sign"], drawn["size"]):
        codes = np.zeros(count)
        codes[support] = sign * 0.3**size
        both = np.concatenate([atoms.matrix, -atoms.matrix]).T
        best = linprog(np.ones(2 * count), A_eq=both, b_eq=codes @ atoms.matrix, bounds=(0, None)).x
        expected.append(np.abs(best[:count] - best[count:] - codes).max() < 1e-6)
    assert 0 < sum(expected) < 6
    np.testing.assert_array_equal(found["found, basis pursuit"], expected)
    assert not found["unfinished"].any()


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_what_is_found_is_what_was_put_in(noise, tmp_path):
    atoms = recovery.dictionary(recovery.HADAMARD, TINY, Lab(tmp_path))
    assert atoms.coherence == pytest.approx(0.25)
    drawn = recovery.draw(jax.random.key(0), atoms=32, features=16, sparsity=1, number=6)
    found = recovery.recover(atoms, drawn, 1.0, noise)
    for name in recovery.ALGORITHMS:
        assert found[f"met, {name}"].all()
        assert found[f"found, {name}"].all()
        assert (found[f"error, {name}"] <= 1).all()
    # Fifteen entries in sixteen numbers are too many for anybody.
    many = recovery.draw(jax.random.key(0), atoms=32, features=16, sparsity=15, number=6)
    found = recovery.recover(atoms, many, 0.1, noise)
    for name in recovery.ALGORITHMS:
        assert not found[f"met, {name}"].any()
        assert not found[f"found, {name}"].all()


def test_failures_are_counted_among_those_that_meet_the_hypothesis():
    values = {
        "met, OMP": [True, True, True, False],
        "found, OMP": [True, False, True, False],
        "error, OMP": [0.5, 0.5, 1.5, 9.0],
    }
    sweep = Sweep("made", {"noise": (0.0, 0.1)}, {name: np.array([one, one]) for name, one in values.items()})
    found = recovery.failures([sweep, sweep], "OMP", 0)
    assert (found.value, found.at["trials"], found.at["noise"]) == (4, "6", "without")
    assert recovery.largest_error(sweep, "OMP") == 1.5


def test_half_of_the_trials_are_reached_between_two_sparsities():
    found = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 1, 0]], bool)
    assert recovery.reach((2, 4, 8), found) == 4 + 4 * 0.25 / 0.5
    assert recovery.reach((2, 4), found[:2]) == 4
    assert recovery.reach((8, 16), found[2:].repeat(2, 0)) == 8
    measured = recovery.measured_reach(lambda one: recovery.reach((2, 4, 8), one), found, of="all")
    assert (measured.value, measured.n, measured.at) == (6.0, 4, {"of": "all"})
    assert measured.standard_error > 0


def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = recovery.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 2, 2, 9, 2, 3]
    assert all(claim.verdict == Verdict.HOLDS for claim in claims[:3])
    assert all(int(one.at["trials"]) >= 12 for claim in claims[:3] for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {
        "phases_without_noise",
        "phases_with_noise",
        "recovery_and_error",
    }
    assert len(lab.notes) == 5
