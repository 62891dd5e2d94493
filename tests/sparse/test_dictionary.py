"""Learnt dictionaries against dense NumPy in double precision, SciPy, scikit-learn and planted atoms."""

import re

import jax
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning, sparse_encode
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d
from sklearn.linear_model import orthogonal_mp

from jaxtheory.sparse import dictionary


def planted(rng, atoms, features, n, sparsity, noise=0.0):
    """Unit atoms, and signals of a few of them each with noise of so many times their deviation."""
    D = rng.standard_normal((atoms, features))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    codes = np.zeros((n, atoms))
    for row in codes:
        row[rng.choice(atoms, sparsity, replace=False)] = rng.standard_normal(sparsity)
    x = codes @ D
    return D, x + noise * x.std() * rng.standard_normal(x.shape)


def recovered(D, learnt):
    """How many atoms are found again: the paper asks that 1 - |<d, d'>| be under 0.01."""
    return int(np.sum(np.abs(D @ np.asarray(learnt).T).max(1) > 0.99))


def lasso_objective(D, x, penalty):
    """The mean least objective, by scikit-learn's coordinate descent."""
    D = np.asarray(D, np.float64)
    z = sparse_encode(x, D, algorithm="lasso_cd", alpha=penalty, max_iter=10_000)
    return np.mean(np.sum((x - z @ D) ** 2, 1) / 2 + penalty * np.abs(z).sum(1))


def test_online_comes_at_least_as_low_as_scikit_learn(rng):
    _, x = planted(rng, 24, 16, 800, 3, noise=0.1)
    x, unseen = x[:600], x[600:]
    model = MiniBatchDictionaryLearning(
        24, alpha=0.2, batch_size=50, max_iter=20, fit_algorithm="cd", tol=0, max_no_improvement=None,
        transform_max_iter=20_000, random_state=0,
    )  # fmt: skip
    theirs = lasso_objective(model.fit(x).components_, unseen, 0.2)
    for seed in range(3):
        for_atoms, for_batches = jax.random.split(jax.random.key(seed))
        start = dictionary.online_init(dictionary.sample_atoms(for_atoms, np.float32(x), 24))
        # As many signals as theirs: 20 times through 600.
        learnt, metrics = dictionary.online(
            start, np.float32(x), 0.2, for_batches, steps=240, batch=50, forgetting=1.0
        )
        assert lasso_objective(learnt.dictionary, unseen, 0.2) <= theirs
        assert metrics["objective"][-20:].mean() < 0.7 * metrics["objective"][0]
        assert np.all(metrics["converged"] == 1)
        assert np.linalg.norm(learnt.dictionary, axis=1).max() <= 1 + 1e-6


def test_online_finds_planted_atoms(rng):
    D, x = planted(rng, 20, 16, 2000, 2)
    start = dictionary.online_init(dictionary.sample_atoms(jax.random.key(0), np.float32(x), 20))
    learnt, _ = dictionary.online(
        start, np.float32(x), 0.1, jax.random.key(1), steps=300, batch=200, forgetting=2.0
    )
    unit = learnt.dictionary / np.linalg.norm(learnt.dictionary, axis=1, keepdims=True)
    assert recovered(D, unit) >= 16


def test_an_online_step_is_the_dense_block_coordinate_update(x64, rng):
    D = rng.standard_normal((5, 4))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    state = dictionary.online_init(D)
    A, B = np.zeros((5, 5)), np.zeros((5, 4))
    for t in (1, 2, 3):
        x = rng.standard_normal((12, 4))
        state, metrics = dictionary.online_step(
            state, x, 0.3, forgetting=0.7, tolerance=1e-14, sweeps=2, max_steps=5000
        )
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


def test_atoms_nobody_uses_become_the_signals_that_are_represented_worst(rng):
    x = np.float32([[5, 0, 0], [0, 4, 0], [0, 0, 3], [1, 0, 0]])
    start = dictionary.online_init(np.float32([[1, 0, 0], [0, 0, 0], [0, 0, 0]]))
    after, _ = dictionary.online_step(start, x, 0.1)
    np.testing.assert_allclose(after.dictionary, [[1, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-6)
    assert not np.any(after.gram[1:])
    start = dictionary.ksvd_init(np.float32([[1, 0, 0], [0, 0, 0], [1, 0, 0]]))
    after, metrics = dictionary.ksvd_step(start, x, sparsity=1)
    assert metrics["renewed"] == 2
    np.testing.assert_allclose(np.abs(after.dictionary), [[1, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-6)


def test_an_atom_over_again_is_replaced_though_it_is_used():
    x = np.float32([[5, 0, 0], [5, 0.25, 0], [0, 0, 3]])
    start = dictionary.ksvd_init(np.float32([[1, 0, 0], [1, 0.05, 0]]))
    after, metrics = dictionary.ksvd_step(start, x, sparsity=1)
    assert metrics["renewed"] == 1
    np.testing.assert_allclose(after.dictionary, [[1, 0, 0], [0, 0, 1]], atol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_ksvd_recovers_the_papers_dictionary(noise, rng):
    # Section V-A: 50 atoms of 20 features, 1,500 signals of 3 atoms, 80 steps; at 20 dB or none.
    D, x = planted(rng, 50, 20, 1500, 3, noise)
    start = dictionary.ksvd_init(dictionary.sample_atoms(jax.random.key(0), np.float32(x), 50))
    learnt, metrics = dictionary.ksvd(start, np.float32(x), sparsity=3, steps=80, uses=4)
    assert recovered(D, learnt.dictionary) >= 45
    assert np.all(metrics["error"] <= metrics["coded"] * (1 + 1e-5))
    assert metrics["error"][-1] < 0.5 * metrics["error"][0]


def test_a_ksvd_step_is_the_dense_one(x64, rng):
    x = rng.standard_normal((40, 6))
    D = rng.standard_normal((8, 6))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    after, metrics = dictionary.ksvd_step(dictionary.ksvd_init(D), x, sparsity=2, coherence=1.0)
    z = orthogonal_mp(D.T, x.T, n_nonzero_coefs=2).T
    np.testing.assert_allclose(metrics["coded"], np.sqrt(np.mean((x - z @ D) ** 2)), rtol=1e-12)
    D = D.copy()
    for j in range(8):
        on = z[:, j] != 0
        rest = x[on] - z[on] @ D + np.outer(z[on, j], D[j])
        u, s, v = np.linalg.svd(rest)
        sign = np.sign(v[0] @ D[j])
        D[j], z[on, j] = sign * v[0], sign * s[0] * u[:, 0]
    np.testing.assert_allclose(after.dictionary, D, atol=1e-9)
    np.testing.assert_allclose(metrics["error"], np.sqrt(np.mean((x - z @ D) ** 2)), rtol=1e-10)
    assert metrics["renewed"] == 0


def cauchy(a, x, D, penalty, scale):
    value = np.sum((x - a @ D) ** 2) / 2 + penalty * np.sum(np.log1p((a / scale) ** 2))
    return value, (a @ D - x) @ D.T + 2 * penalty * a / (scale**2 + a**2)


def test_cauchy_codes_are_scipys_minimum(x64, rng):
    D, x = rng.standard_normal((5, 6)), 2 * rng.standard_normal((7, 6))
    # So little penalty that the objective is convex: its second derivative is at least -penalty / 4 sigma^2.
    penalty, scale = 0.2, 1.3
    assert np.linalg.eigvalsh(D @ D.T)[0] > penalty / (4 * scale**2)
    found = dictionary.cauchy_codes(D, x, penalty, scale, tolerance=1e-15, max_steps=2000)
    assert np.all(found.converged)
    for row, a, objective in zip(x, found.codes, found.objective):
        best = scipy.optimize.minimize(
            cauchy, np.zeros(5), (row, D, penalty, scale), jac=True, method="BFGS", options={"gtol": 1e-9}
        )
        np.testing.assert_allclose(a, best.x, atol=1e-5)
        np.testing.assert_allclose(objective, best.fun, rtol=1e-12)


def test_cauchy_codes_go_down_to_a_stationary_point_where_there_are_many(x64, rng):
    D, x = rng.standard_normal((20, 6)), 2 * rng.standard_normal((9, 6))
    values = []
    for steps in (1, 2, 4, 8, 16, 32, 2000):
        found = dictionary.cauchy_codes(D, x, 1.5, 0.5, tolerance=1e-15, max_steps=steps)
        values.append(found.objective)
    assert np.all(np.diff(values, axis=0) <= 1e-12)
    assert np.all(found.converged)
    assert np.all(found.steps < 2000)
    for row, a, objective in zip(x, found.codes, found.objective):
        value, slope = cauchy(np.asarray(a), row, D, 1.5, 0.5)
        np.testing.assert_allclose(objective, value, rtol=1e-12)
        assert np.abs(slope).max() < 1e-5
        assert value < np.sum(row**2) / 2


def test_too_few_steps_are_flagged(rng):
    D, x = np.float32(rng.standard_normal((8, 6))), np.float32(rng.standard_normal((2, 6)))
    x[1] = 0
    found = dictionary.cauchy_codes(D, x, 0.1, tolerance=1e-6, max_steps=2)
    np.testing.assert_array_equal(found.converged, [False, True])
    np.testing.assert_array_equal(found.steps, [2, 0])


def test_a_sparsenet_step_is_the_papers(x64, rng):
    D, x = rng.standard_normal((4, 6)), rng.standard_normal((30, 6))
    start = dictionary.sparsenet_init(D, variance=0.5)
    after, metrics = dictionary.sparsenet_step(
        start, x, rate=0.3, penalty=0.2, scale=1.3, variance=0.5, memory=0.1, gain=0.2, tolerance=1e-15,
        max_steps=2000,
    )  # fmt: skip
    best = [
        scipy.optimize.minimize(
            cauchy, np.zeros(4), (row, D, 0.2, 1.3), jac=True, method="BFGS", options={"gtol": 1e-9}
        )
        for row in x
    ]
    a = np.stack([one.x for one in best])
    moved = D + 0.3 * a.T @ (x - a @ D) / 30
    variance = 0.9 * 0.5 + 0.1 * np.mean(a**2, 0)
    length = np.linalg.norm(D, axis=1) * (variance / 0.5) ** 0.2
    expected = moved * (length / np.linalg.norm(moved, axis=1))[:, None]
    np.testing.assert_allclose(after.variance, variance, rtol=1e-5)
    np.testing.assert_allclose(after.dictionary, expected, atol=1e-5)
    np.testing.assert_allclose(metrics["objective"], np.mean([one.fun for one in best]), rtol=1e-9)
    kurtosis = np.mean(np.mean(a**4, 0) / np.mean(a**2, 0) ** 2)
    np.testing.assert_allclose(metrics["kurtosis"], kurtosis, rtol=1e-4)


def test_sparsenet_finds_independent_sources_and_keeps_their_variance(rng):
    # Sparse sources under an orthogonal mixture: the independent components are its rows.
    mixture = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    x = np.float32(rng.laplace(size=(4000, 8)) / np.sqrt(2) @ mixture)
    start = dictionary.sparsenet_init(np.float32(rng.standard_normal((8, 8))))
    learnt, metrics = dictionary.sparsenet(start, x, jax.random.key(0), steps=800, rate=0.2)
    unit = learnt.dictionary / np.linalg.norm(learnt.dictionary, axis=1, keepdims=True)
    assert recovered(mixture, unit) == 8
    # A Laplace variable has the kurtosis 6, and a sum of eight less than 4; codes are sparser than sources.
    assert metrics["kurtosis"][-50:].mean() > 6
    codes = dictionary.cauchy_codes(learnt.dictionary, x, 0.22).codes
    np.testing.assert_allclose(np.mean(codes**2, 0), 1, atol=0.15)


def test_sparsenet_lowers_the_objective_of_atoms_of_fixed_length(rng):
    x = np.float32(rng.laplace(size=(1000, 6)) @ rng.standard_normal((6, 6)))
    start = dictionary.sparsenet_init(np.float32(np.linalg.qr(rng.standard_normal((6, 6)))[0]))
    learnt, metrics = dictionary.sparsenet(start, x, jax.random.key(0), steps=200, rate=0.05, gain=0.0)
    assert metrics["objective"][-40:].mean() < 0.9 * metrics["objective"][:10].mean()
    np.testing.assert_allclose(np.linalg.norm(learnt.dictionary, axis=1), 1, atol=1e-4)


def test_a_learning_in_segments_is_the_same_learning(rng):
    x = np.float32(planted(rng, 12, 8, 300, 2)[1])
    D, key = dictionary.sample_atoms(jax.random.key(0), x, 12), jax.random.key(1)
    learn = {
        "online": lambda state, steps: dictionary.online(state, x, 0.1, key, steps=steps, batch=40)[0],
        "sparsenet": lambda state, steps: dictionary.sparsenet(state, x, key, steps=steps, rate=0.1)[0],
    }
    for name, go_on in learn.items():
        start = getattr(dictionary, f"{name}_init")(D)
        whole, parts = go_on(start, 6), go_on(go_on(start, 3), 3)
        np.testing.assert_allclose(parts.dictionary, whole.dictionary, atol=1e-4)
        assert parts.step == whole.step == 6
        assert np.abs(whole.dictionary - start.dictionary).max() > 0.01


def test_seeds_are_mapped_over(rng):
    x = np.float32(planted(rng, 10, 6, 200, 2)[1])

    def learn(key):
        start = dictionary.online_init(dictionary.sample_atoms(key, x, 10))
        return dictionary.online(start, x, 0.2, key, steps=2, batch=20)[0].dictionary

    keys = jax.random.split(jax.random.key(0), 3)
    one_by_one = [learn(key) for key in keys]
    np.testing.assert_allclose(jax.vmap(learn)(keys), one_by_one, atol=1e-4)
    assert np.abs(one_by_one[0] - one_by_one[1]).max() > 0.1


def test_a_signal_of_nan_is_left_out(rng):
    x = np.float32(planted(rng, 6, 5, 30, 2)[1])
    broken = np.concatenate([x, np.full((2, 5), np.nan, np.float32)])
    D = np.float32(rng.standard_normal((6, 5)))
    cases = {
        "online": lambda state, x: dictionary.online_step(state, x, 0.1, tolerance=1e-6),
        "ksvd": lambda state, x: dictionary.ksvd_step(state, x, sparsity=2),
        "sparsenet": lambda state, x: dictionary.sparsenet_step(state, x, rate=0.1),
    }
    for name, step in cases.items():
        start = getattr(dictionary, f"{name}_init")(D)
        (whole, one), (found, other) = step(start, x), step(start, broken)
        np.testing.assert_allclose(found.dictionary, whole.dictionary, atol=1e-4)
        for metric in set(one) - {"converged"}:
            np.testing.assert_allclose(other[metric], one[metric], rtol=1e-4)
        if "converged" in one:
            np.testing.assert_allclose([one["converged"], other["converged"]], [1, 30 / 32])
    found = dictionary.cauchy_codes(D, broken, 0.1)
    np.testing.assert_array_equal(found.converged, [True] * 30 + [False] * 2)
    np.testing.assert_array_equal(np.isnan(found.codes).all(1), [False] * 30 + [True] * 2)
    np.testing.assert_allclose(found.codes[:30], dictionary.cauchy_codes(D, x, 0.1).codes, atol=1e-6)
    assert np.isfinite(dictionary.whitening(broken).matrix).all()


def test_sampled_atoms_are_different_signals_of_unit_length(rng):
    x = np.float32(rng.standard_normal((20, 4)))
    x[3], x[5] = 0, np.inf
    D = np.asarray(dictionary.sample_atoms(jax.random.key(0), x, 18))
    np.testing.assert_allclose(np.linalg.norm(D, axis=1), 1, atol=1e-6)
    units = np.delete(x, [3, 5], 0)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    np.testing.assert_allclose(D[np.lexsort(D.T)], units[np.lexsort(units.T)], atol=1e-6)
    assert not np.any(dictionary.sample_atoms(jax.random.key(0), x, 20)[18:])
    other = dictionary.sample_atoms(jax.random.key(1), x, 18)
    assert np.abs(other - D).max() > 0.1


def test_pca_whitening_is_scikit_learns(x64, rng):
    x = rng.standard_normal((50, 5)) @ rng.standard_normal((5, 5)) + 3
    model = PCA(3, whiten=True).fit(x)
    made = dictionary.whitening(x, kind="pca", components=3)
    # Scikit-learn divides by n - 1.
    expected = model.transform(x) * np.sqrt(50 / 49)
    white = np.asarray(dictionary.whiten(made, x))
    np.testing.assert_allclose(white * np.sign(white[0] * expected[0]), expected, atol=1e-10)
    np.testing.assert_allclose(dictionary.unwhiten(made, white), model.inverse_transform(model.transform(x)))


def test_zca_whitening_is_the_inverse_root_of_the_covariance(x64, rng):
    x = rng.standard_normal((60, 4)) @ rng.standard_normal((4, 4)) - 1
    covariance = np.cov(x.T, bias=True)
    for epsilon in (0.0, 0.3):
        made = dictionary.whitening(x, regularization=epsilon)
        expected = np.linalg.inv(scipy.linalg.sqrtm(covariance + epsilon * np.eye(4)).real)
        np.testing.assert_allclose(made.matrix, expected, atol=1e-10)
        np.testing.assert_allclose(dictionary.unwhiten(made, dictionary.whiten(made, x)), x, atol=1e-10)


def test_directions_without_variance_are_left_out(rng):
    x = np.float32(rng.standard_normal((200, 6)))
    x -= x.mean(1, keepdims=True)
    made = dictionary.whitening(x)
    white = np.asarray(dictionary.whiten(made, x))
    ones = np.full((6, 6), 1 / 6)
    np.testing.assert_allclose(white.T @ white / 200, np.eye(6) - ones, atol=1e-4)
    np.testing.assert_allclose(dictionary.unwhiten(made, white), x, atol=1e-4)


def test_images_are_whitened_by_the_papers_filter(x64, rng):
    x = rng.standard_normal((2, 12, 15))
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(12), np.fft.fftfreq(15), indexing="ij"))
    expected = np.fft.ifft2(np.fft.fft2(x) * f * np.exp(-((f / 0.3) ** 4))).real
    np.testing.assert_allclose(dictionary.whiten_images(x, cutoff=0.3), expected, atol=1e-12)
    # 200 cycles a picture of 512 pixels.
    pink = np.fft.ifft2(np.exp(2j * np.pi * rng.random((512, 512))) / np.maximum(spectrum(512), 1 / 512))
    white = np.abs(np.fft.fft2(dictionary.whiten_images(pink.real))) ** 2
    rings = [white[(spectrum(512) > low) & (spectrum(512) < low + 0.05)].mean() for low in (0.03, 0.1, 0.15)]
    assert max(rings) < 1.15 * min(rings)


def spectrum(n):
    return np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n))


X, EYE = np.ones((6, 3), np.float32), np.eye(3, dtype=np.float32)
ONLINE, SVD, NET = (getattr(dictionary, f"{name}_init") for name in ("online", "ksvd", "sparsenet"))
KEY = jax.random.key(0)
BAD = {
    "no matrix": (lambda: ONLINE(np.ones(3, np.float32)), ValueError, "found (3,): one atom a row"),
    "no atoms": (lambda: SVD(np.ones((0, 3), np.float32)), ValueError, "at least one of each, found (0, 3)"),
    "whole numbers": (lambda: NET(np.eye(3, dtype=int)), TypeError, "atoms are real floating point, found"),
    "complex": (
        lambda: dictionary.online_step(ONLINE(EYE), X.astype(np.complex64), 1.0),
        TypeError,
        "signals are real floating point, found complex64: convert them",
    ),
    "one signal": (
        lambda: dictionary.online_step(ONLINE(EYE), X[0], 1.0),
        ValueError,
        "found (3,): one signal a row",
    ),
    "features": (
        lambda: dictionary.ksvd_step(SVD(EYE), X[:, :2], sparsity=1),
        ValueError,
        "signals have 2 features and atoms 3: the signals of a dictionary (atoms, 3) are (n, 3)",
    ),
    "too many atoms": (
        lambda: dictionary.sample_atoms(KEY, X, 7),
        ValueError,
        "7 atoms of 6 signals: draw from 1 to 6",
    ),
    "no penalty": (
        lambda: dictionary.online_step(ONLINE(EYE), X, 0.0),
        ValueError,
        "penalty must be positive, found 0",
    ),
    "penalties": (
        lambda: dictionary.online_step(ONLINE(EYE), X, np.ones(2, np.float32)),
        ValueError,
        "a penalty is a number, or one an atom, 3 of them, found shape (2,)",
    ),
    "forgetting": (
        lambda: dictionary.online_step(ONLINE(EYE), X, 1.0, forgetting=-1.0),
        ValueError,
        "forgetting is -1.0: take 0, which forgets nothing, or more",
    ),
    "sweeps": (
        lambda: dictionary.online_step(ONLINE(EYE), X, 1.0, sweeps=0),
        ValueError,
        "sweeps is 0: go through",
    ),
    "steps": (
        lambda: dictionary.online(ONLINE(EYE), X, 1.0, KEY, steps=0, batch=2),
        ValueError,
        "steps is 0: take at least 1",
    ),
    "batch": (
        lambda: dictionary.sparsenet(NET(EYE), X, KEY, steps=1, rate=0.1),
        ValueError,
        "a minibatch of 100 of 6 signals: take from 1 to 6",
    ),
    "sparsity": (
        lambda: dictionary.ksvd(SVD(EYE), X, sparsity=4, steps=1),
        ValueError,
        "sparsity is 4: of 3 atoms, 1 to 3 can be chosen",
    ),
    "uses": (
        lambda: dictionary.ksvd_step(SVD(EYE), X, sparsity=1, uses=0),
        ValueError,
        "uses is 0: an atom is",
    ),
    "rate": (
        lambda: dictionary.sparsenet_step(NET(EYE), X, rate=0.0),
        ValueError,
        "the rate must be positive",
    ),
    "variance": (lambda: NET(EYE, variance=-1.0), ValueError, "the variance must be positive, found -1.0"),
    "scale": (
        lambda: dictionary.cauchy_codes(EYE, X, 1.0, 0.0),
        ValueError,
        "the scale must be positive, found 0.0",
    ),
    "last axes": (
        lambda: dictionary.cauchy_codes(EYE, X[:, :2], 1.0),
        ValueError,
        "the dictionary is (3, 3) and signals are (6, 2): their last axes must be the same features",
    ),
    "no image": (lambda: dictionary.whiten_images(X[0]), ValueError, "images are (..., H, W), found (3,)"),
    "cutoff": (
        lambda: dictionary.whiten_images(X, cutoff=0.0),
        ValueError,
        "the cutoff must be positive, found 0.0",
    ),
    "variances": (lambda: dictionary.whitening(X[:1]), ValueError, "needs at least two signals"),
    "kind": (lambda: dictionary.whitening(X, kind="ica"), ValueError, "kind is 'ica': take 'pca' or 'zca'"),
    "components": (
        lambda: dictionary.whitening(X, components=4),
        ValueError,
        "of 3 features, 1 to 3 can be kept",
    ),
    "regularization": (
        lambda: dictionary.whitening(X, regularization=-1.0),
        ValueError,
        "regularization is -1.0: take 0 or",
    ),
    "other features": (
        lambda: dictionary.whiten(dictionary.whitening(X), X[:, :2]),
        ValueError,
        "this whitening is of 3 feat",
    ),
    "other components": (
        lambda: dictionary.unwhiten(dictionary.whitening(X, kind="pca", components=1), X),
        ValueError,
        "this whitening is of 1 components, and signals have the shape (6, 3)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize("size", [(3, 3), (2, 4)])
def test_denoising_averages_the_patches_that_scikit_learn_codes(size, x64, rng, monkeypatch):
    # Several strips, whose last overlaps, and blocks that patches do not fill.
    monkeypatch.setattr(dictionary, "_STRIP", 25)
    monkeypatch.setattr(dictionary, "_BLOCK", 8)
    h, w = size
    image, noise = rng.standard_normal((11, 8)), 0.4
    atoms = rng.standard_normal((12, h * w))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    patches = extract_patches_2d(image, size).reshape(-1, h * w)
    means = patches.mean(axis=1, keepdims=True)
    codes = orthogonal_mp(atoms.T, (patches - means).T, tol=(1.15 * noise) ** 2 * h * w).T
    said = (codes @ atoms + means).reshape(-1, h, w)
    found = dictionary.denoise(atoms, image[None], noise, size, fidelity=0.0, sparsity=h * w)[0]
    np.testing.assert_allclose(found, reconstruct_from_patches_2d(said, image.shape), atol=1e-10)
    counts = reconstruct_from_patches_2d(np.ones_like(said), image.shape)
    np.testing.assert_allclose(counts, 1)
    number = np.zeros(image.shape)
    for i, j in np.ndindex(image.shape[0] - h + 1, image.shape[1] - w + 1):
        number[i : i + h, j : j + w] += 1
    with_itself = dictionary.denoise(atoms, image, noise, size, fidelity=2.0, sparsity=h * w)
    np.testing.assert_allclose(with_itself, (number * found + 2 * image) / (number + 2), atol=1e-10)


def test_denoising_keeps_to_the_image_that_holds_nan(rng):
    atoms = np.float32(rng.standard_normal((6, 4)))
    images = np.float32(rng.standard_normal((2, 5, 6)))
    images[1, 2, 3] = np.nan
    found = dictionary.denoise(atoms, images, 0.3, (2, 2))
    alone = dictionary.denoise(atoms, images[0], 0.3, (2, 2))
    np.testing.assert_allclose(found[0], alone, rtol=1e-5, atol=1e-6)
    # What no patch shares with the missing pixel is still there.
    assert np.isnan(found[1]).sum() == 9


DENOISING = {
    "size": ({"size": (3, 2)}, "patches of size (3, 2) are not those of a dictionary of 4 features"),
    "small": ({"images": np.ones((1, 8), np.float32)}, "patches of size (2, 2) do not fit into images"),
    "sparsity": ({"sparsity": 7}, "sparsity is 7: of 6 atoms, 1 to 6 can be chosen"),
    "noise": ({"noise": -1.0}, "noise must be positive, found -1.0"),
    "gain": ({"gain": 0.0}, "gain must be positive, found 0.0"),
    "fidelity": ({"fidelity": -1.0}, "fidelity is -1.0: take 0 or more"),
}


@pytest.mark.parametrize("name", DENOISING)
def test_what_denoising_refuses(name, own_errors):
    change, message = DENOISING[name]
    call = {"images": np.ones((4, 4), np.float32), "noise": 1.0, "size": (2, 2)} | change
    with pytest.raises(ValueError, match=re.escape(message)):
        dictionary.denoise(np.ones((6, 4), np.float32), **call)
