"""K-SVD against dense NumPy in double precision, scikit-learn's pursuit and the paper's planted atoms."""

import re

import jax
import numpy as np
import pytest
from sklearn.linear_model import orthogonal_mp

from jaxtheory.sparse import learning
from jaxtheory.sparse.dictionary_learning import ksvd, sample_atoms
from tests.sparse.dictionary_learning.planted import planted, recovered


def test_idle_atoms_become_the_signals_that_are_represented_worst():
    x = np.float32([[5, 0, 0], [0, 4, 0], [0, 0, 3], [1, 0, 0]])
    learner = ksvd(1)
    after, metrics = learner.step(learner.init(np.float32([[1, 0, 0], [0, 0, 0], [1, 0, 0]])), x)
    assert metrics["replaced"] == 2
    np.testing.assert_allclose(np.abs(after.dictionary), [[1, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-6)
    # All atoms are zero: the signals of most energy take their places.
    after, metrics = learner.step(learner.init(np.zeros((3, 3), np.float32)), x)
    assert metrics["replaced"] == 3
    np.testing.assert_allclose(metrics["coded"], np.sqrt(np.mean(x**2)), rtol=1e-6)
    np.testing.assert_allclose(after.dictionary, np.eye(3), atol=1e-6)


def test_an_atom_over_again_is_replaced_though_it_is_used():
    x = np.float32([[5, 0, 0], [5, 0.25, 0], [0, 0, 3], [0, 0, 0]])
    for mu, expected in ((0.99, [0, 0, 1]), (1.0, [5, 0.25, 0] / np.linalg.norm([5, 0.25]))):
        learner = ksvd(1, mu=mu)
        after, metrics = learner.step(learner.init(np.float32([[1, 0, 0], [1, 0.05, 0]])), x)
        assert metrics["replaced"] == (mu < 1)
        np.testing.assert_allclose(after.dictionary, [[1, 0, 0], expected], atol=1e-6)


@pytest.mark.beyond
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_it_recovers_the_papers_dictionary(noise, rng):
    # Section V-A: 50 atoms of 20 features, 1,500 signals of 3 atoms, 80 steps; at 20 dB or none. It is the
    # mean over trials, as there: one trial in five finds fewer than 45 atoms.
    found = []
    for trial in range(5):
        D, x = planted(rng, 50, 20, 1500, 3, noise)
        learner = ksvd(3, uses=4)
        start = learner.init(sample_atoms(jax.random.key(trial), np.float32(x), 50))
        learned, metrics = learning.run(learner, start, np.float32(x), steps=80)
        found.append(recovered(D, learned.dictionary))
        assert np.all(metrics["error"] <= metrics["coded"] * (1 + 1e-5))
        assert metrics["error"][-1] < 0.5 * metrics["error"][0]
    assert np.mean(found) >= 45


def test_a_step_is_the_dense_one(x64, rng):
    x = rng.standard_normal((40, 6))
    D = rng.standard_normal((8, 6))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    learner = ksvd(2, mu=1.0)
    after, metrics = learner.step(learner.init(D), x)
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
    assert metrics["replaced"] == 0


@pytest.mark.beyond
def test_a_signal_of_nan_is_left_out(rng):
    x = np.float32(planted(rng, 6, 5, 30, 2)[1])
    broken = np.concatenate([x, np.full((2, 5), np.nan, np.float32)])
    learner = ksvd(2)
    start = learner.init(np.float32(rng.standard_normal((6, 5))))
    (whole, one), (found, other) = learner.step(start, x), learner.step(start, broken)
    np.testing.assert_allclose(found.dictionary, whole.dictionary, atol=1e-4)
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-4)


X, EYE = np.ones((6, 3), np.float32), np.eye(3, dtype=np.float32)
BAD = {
    "sparsity": (
        lambda: ksvd(4).step(ksvd(4).init(EYE), X),
        ValueError,
        "sparsity is 4: take a whole number from 1 to 3",
    ),
    "no sparsity": (lambda: ksvd(0), ValueError, "sparsity is 0: take a whole number at least 1"),
    "uses": (lambda: ksvd(1, uses=0), ValueError, "uses is 0: take a whole number at least 1"),
    "mu": (lambda: ksvd(1, mu=1.5), ValueError, "mu is 1.5: take a number from 0 to 1"),
    "tolerance": (
        lambda: ksvd(1, tolerance=-1.0),
        ValueError,
        "tolerance is -1.0: take a number of 0 or more",
    ),
    "features": (
        lambda: ksvd(1).step(ksvd(1).init(EYE), X[:, :2]),
        ValueError,
        "signals has the shape (6, 2): take (n, 3) for (n, features)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
