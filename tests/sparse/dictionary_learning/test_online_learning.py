"""Online learning against dense NumPy in double precision, scikit-learn and planted atoms."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import MiniBatchDictionaryLearning, sparse_encode

from jaxtheory.sparse import learning
from jaxtheory.sparse.dictionary_learning import OnlineState, online, sample_atoms
from tests.sparse.dictionary_learning.planted import planted, recovered


def lasso_objective(D, x, penalty):
    """The mean least objective, by scikit-learn's coordinate descent."""
    D = np.asarray(D, np.float64)
    z = sparse_encode(x, D, algorithm="lasso_cd", alpha=penalty, max_iter=10_000)
    return np.mean(np.sum((x - z @ D) ** 2, 1) / 2 + penalty * np.abs(z).sum(1))


@pytest.mark.beyond
def test_it_comes_at_least_as_low_as_scikit_learn(rng):
    _, x = planted(rng, 24, 16, 800, 3, noise=0.1)
    x, unseen = x[:600], x[600:]
    model = MiniBatchDictionaryLearning(
        24, alpha=0.2, batch_size=50, max_iter=20, fit_algorithm="cd", tol=0, max_no_improvement=None,
        transform_max_iter=20_000, random_state=0,
    )  # fmt: skip
    theirs = lasso_objective(model.fit(x).components_, unseen, 0.2)
    learner = online(0.2, forgetting=1.0, tolerance=1e-3)
    for seed in range(3):
        for_atoms, for_batches = jax.random.split(jax.random.key(seed))
        start = learner.init(sample_atoms(for_atoms, np.float32(x), 24))
        # As many signals as theirs: 20 times through 600.
        learned, metrics = learning.run(learner, start, np.float32(x), for_batches, steps=240, batch=50)
        assert lasso_objective(learned.dictionary, unseen, 0.2) <= theirs
        assert metrics["objective"][-20:].mean() < 0.7 * metrics["objective"][0]
        assert np.all(metrics["converged"] == 1)
        assert np.linalg.norm(learned.dictionary, axis=1).max() <= 1 + 1e-6


@pytest.mark.beyond
def test_it_finds_planted_atoms(rng):
    D, x = planted(rng, 20, 16, 2000, 2)
    learner = online(0.1, forgetting=2.0, tolerance=1e-3)
    start = learner.init(sample_atoms(jax.random.key(0), np.float32(x), 20))
    learned, _ = learning.run(learner, start, np.float32(x), jax.random.key(1), steps=300, batch=200)
    unit = learned.dictionary / np.linalg.norm(learned.dictionary, axis=1, keepdims=True)
    assert recovered(D, unit) >= 16


@pytest.mark.beyond
def test_a_step_is_the_dense_block_coordinate_update(x64, rng):
    D = rng.standard_normal((5, 4))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    learner = online(0.3, forgetting=0.7, tolerance=1e-14, sweeps=2, max_steps=5000)
    state = learner.init(D)
    A, B = np.zeros((5, 5)), np.zeros((5, 4))
    for t in (1, 2, 3):
        x = rng.standard_normal((12, 4))
        state, metrics = learner.step(state, x)
        z = sparse_encode(x, D, algorithm="lasso_cd", alpha=0.3, max_iter=100_000)
        objective = np.mean(np.sum((x - z @ D) ** 2, 1) / 2 + 0.3 * np.abs(z).sum(1))
        A, B = ((1 - 1 / t) ** 0.7 * old + new / 12 for old, new in ((A, z.T @ z), (B, z.T @ x)))
        D = D.copy()
        for j in [*range(5), *range(5)]:
            u = D[j] + (B[j] - A[j] @ D) / A[j, j]
            D[j] = u / max(1, np.linalg.norm(u))
        # Scikit-learn stops at 1e-8.
        np.testing.assert_allclose(metrics["objective"], objective, rtol=1e-7)
        np.testing.assert_allclose(state.dictionary, D, atol=2e-5)
    np.testing.assert_allclose(state.gram, A, atol=2e-5)
    np.testing.assert_allclose(state.cross, B, atol=2e-5)
    assert state.step == 3


# One shape of signals and atoms for what follows: the step is compiled once.
SIGNALS = np.float32(planted(np.random.default_rng(2), 6, 5, 60, 2)[1])
ATOMS = np.float32(np.random.default_rng(3).standard_normal((6, 5)))
LEARNER = online(0.1)


@pytest.mark.beyond
def test_atoms_nobody_uses_become_the_signals_that_are_represented_worst():
    x = np.zeros_like(SIGNALS)
    x[:4, :3] = [[5, 0, 0], [0, 4, 0], [0, 0, 3], [1, 0, 0]]
    atoms = np.zeros_like(ATOMS)
    atoms[0, 0] = 1
    after, _ = LEARNER.step(LEARNER.init(atoms), x)
    np.testing.assert_allclose(after.dictionary[:3, :3], np.eye(3), atol=1e-5)
    assert not np.any(after.gram[1:])


def test_a_dictionary_of_zeros_is_replaced_and_learning_goes_on():
    x = SIGNALS
    start = LEARNER.init(0 * ATOMS)
    state, metrics = LEARNER.step(start, x)
    # All of the objective is the signals' energy.
    first = metrics["objective"]
    np.testing.assert_allclose(first, np.mean(np.sum(x**2, 1)) / 2, rtol=1e-5)
    worst = x[np.argsort(-np.sum(x**2, 1))[:6]]
    np.testing.assert_allclose(state.dictionary, worst / np.linalg.norm(worst, axis=1)[:, None], atol=1e-6)
    for _ in range(10):
        state, metrics = LEARNER.step(state, x)
    assert metrics["objective"] < 0.5 * first
    np.testing.assert_allclose(np.linalg.norm(state.dictionary, axis=1), 1, atol=1e-5)
    nothing, metrics = LEARNER.step(start, 0 * x)
    assert not np.any(nothing.dictionary)
    assert metrics["objective"] == 0


@pytest.mark.beyond
def test_a_run_draws_and_learns_as_documented_and_resumes():
    key, start = jax.random.key(1), LEARNER.init(ATOMS)
    run = partial(learning.run, LEARNER, data=SIGNALS, key=key, steps=2, batch=60)
    found, metrics = run(run(start)[0])
    state = start
    for t in range(4):
        drawn = jax.random.randint(jax.random.fold_in(key, t), (60,), 0, 60, jnp.int32)
        state, expected = LEARNER.step(state, SIGNALS[drawn])
    np.testing.assert_allclose(found.dictionary, state.dictionary, atol=1e-5)
    np.testing.assert_allclose(metrics["objective"][-1], expected["objective"], rtol=1e-5)
    assert found.step == 4
    assert np.abs(found.dictionary - start.dictionary).max() > 0.01


@pytest.mark.beyond
def test_seeds_are_mapped_over(rng):
    x = np.float32(planted(rng, 10, 6, 200, 2)[1])
    learner = online(0.2, tolerance=1e-3)

    def learn(key):
        start = learner.init(sample_atoms(key, x, 10))
        return learning.run(learner, start, x, key, steps=2, batch=20)[0].dictionary

    keys = jax.random.split(jax.random.key(0), 3)
    one_by_one = [learn(key) for key in keys]
    np.testing.assert_allclose(jax.vmap(learn)(keys), one_by_one, atol=1e-4)
    assert np.abs(one_by_one[0] - one_by_one[1]).max() > 0.1


def test_a_signal_of_nan_is_left_out():
    learner = online(0.1, tolerance=1e-6)
    broken = SIGNALS.copy()
    broken[30:, 2] = np.nan
    start = learner.init(ATOMS)
    whole = np.concatenate([SIGNALS[:30], SIGNALS[:30]])
    (expected, one), (found, other) = learner.step(start, whole), learner.step(start, broken)
    np.testing.assert_allclose(found.dictionary, expected.dictionary, atol=1e-4)
    np.testing.assert_allclose(other["objective"], one["objective"], rtol=1e-4)
    np.testing.assert_allclose([one["converged"], other["converged"]], [1, 0.5])


def test_forms_of_input(own_errors):
    x, D = np.round(4 * SIGNALS), np.round(4 * ATOMS)
    expected = LEARNER.step(LEARNER.init(D), x)[0].dictionary
    for form in (lambda a: a.astype(int), lambda a: a.astype(">f8"), lambda a: a.tolist(), jnp.asarray):
        found = LEARNER.step(LEARNER.init(form(D)), form(x))[0].dictionary
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)
    half = LEARNER.init(jnp.asarray(D, jnp.bfloat16))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(half)} == {"float32", "int32"}


@pytest.mark.beyond
def test_a_state_is_stored_by_export():
    start = LEARNER.init(ATOMS)
    program = jax.export.export(jax.jit(LEARNER.step))(start, SIGNALS)
    state, metrics = jax.export.deserialize(program.serialize()).call(start, SIGNALS)
    assert isinstance(state, OnlineState)
    np.testing.assert_allclose(state.dictionary, LEARNER.step(start, SIGNALS)[0].dictionary, atol=1e-5)
    assert set(metrics) == {"objective", "converged"}


X, EYE = np.ones((6, 3), np.float32), np.eye(3, dtype=np.float32)
BAD = {
    "penalty": (lambda: online(0.0), ValueError, "penalty is 0.0: take a positive number"),
    "penalties": (
        lambda: online(np.ones(2)).step(online(1.0).init(EYE), X),
        ValueError,
        "penalty has the shape (2,): take one number, or 3 of them",
    ),
    "a table": (
        lambda: online(np.ones((2, 2))),
        ValueError,
        "penalty has the shape (2, 2): take one number, or one for each atom",
    ),
    "no number": (lambda: online("a"), TypeError, "penalty is 'a' (str): take an array of numbers"),
    "forgetting": (
        lambda: online(1.0, forgetting=-1.0),
        ValueError,
        "forgetting is -1.0: take a number of 0 or more",
    ),
    "tolerance": (
        lambda: online(1.0, tolerance=float("nan")),
        ValueError,
        "tolerance is nan: take a number of 0 or more",
    ),
    "steps": (
        lambda: online(1.0, max_steps=0),
        ValueError,
        "max_steps is 0: take a whole number at least 1",
    ),
    "sweeps": (lambda: online(1.0, sweeps=1.5), TypeError, "sweeps is 1.5: take a whole number at least 1"),
    "no matrix": (
        lambda: online(1.0).init(np.ones(3)),
        ValueError,
        "dictionary has the shape (3,): take (n, features)",
    ),
    "no atoms": (
        lambda: online(1.0).init(np.ones((0, 3))),
        ValueError,
        "dictionary has the shape (0, 3): take at least one row and one column",
    ),
    "complex": (
        lambda: online(1.0).step(online(1.0).init(EYE), X.astype(np.complex64)),
        TypeError,
        "signals is complex (complex64): take real numbers, as its real part",
    ),
    "one signal": (
        lambda: online(1.0).step(online(1.0).init(EYE), X[0]),
        ValueError,
        "signals has the shape (3,): take (n, 3) for (n, features)",
    ),
    "features": (
        lambda: online(1.0).step(online(1.0).init(EYE), X[:, :2]),
        ValueError,
        "signals has the shape (6, 2): take (n, 3) for (n, features)",
    ),
    "no signals": (
        lambda: online(1.0).step(online(1.0).init(EYE), X[:0]),
        ValueError,
        "signals has the shape (0, 3): take at least one row",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
