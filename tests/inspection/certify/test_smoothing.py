"""Randomized smoothing against SciPy's binomial distributions and against a model whose radius is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxtheory.inspection import certify

KEY = jax.random.key(0)
WEIGHTS = np.float32([3.0, -4.0])
X = np.float32([[1.0, 0.0], [0.0, 1.0]])


def sides(w, x):
    """A linear model of two classes."""
    return jnp.stack([x @ w, -(x @ w)], axis=-1)


@pytest.mark.beyond
@pytest.mark.parametrize(("distance", "delta"), [(0.3, 0.05), (0.8, 0.05), (0.3, 0.001)])
def test_radii_pass_the_distance_to_the_boundary_as_rarely_as_stated(distance, delta):
    runs, samples, noise = 1000, 500, 0.5
    # Noise is drawn for each input on its own: equal inputs are independent runs.
    x = np.float32(np.tile(distance * WEIGHTS / 5, (runs, 1)))
    found = certify.smooth(sides, WEIGHTS, x, KEY, noise=noise, samples=samples, delta=delta, selection=20)
    probability = scipy.stats.norm.cdf(distance / noise)
    # Counts that give too large a radius, and how likely they are.
    bounds = scipy.stats.beta.ppf(delta, np.arange(1, samples + 1), np.arange(samples, 0, -1))
    first = 1 + int(np.argmax(bounds > probability)) if (bounds > probability).any() else samples + 1
    expected = scipy.stats.binom.sf(first - 1, samples, probability)
    assert expected <= delta
    too_large = int((np.asarray(found.radius) > distance * (1 + 1e-6)).sum())
    low, high = scipy.stats.binom.ppf([0.0005, 0.9995], runs, expected)
    assert low <= too_large <= high
    assert too_large <= scipy.stats.binom.ppf(0.9995, runs, delta)
    # The counts are those of a binomial distribution, and not only on the safe side.
    share = np.asarray(found.counts)[:, 0].mean() / samples
    assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / (runs * samples))


def test_labels_radii_and_counts():
    far, on_the_boundary, beyond = 100 * WEIGHTS, np.float32([4.0, 3.0]), -0.1 * WEIGHTS
    x = np.stack([far, on_the_boundary, beyond])
    found = certify.smooth(sides, WEIGHTS, x, KEY, noise=0.5, samples=300, delta=0.01, chunk=70)
    assert found.label.tolist() == [0, certify.ABSTAIN, 1]
    assert found.counts.sum(axis=1).tolist() == [300] * 3
    # All samples on one side: the bound is the root of delta.
    assert float(found.radius[0]) == pytest.approx(0.5 * scipy.stats.norm.ppf(0.01 ** (1 / 300)), rel=1e-5)
    assert float(found.radius[1]) == 0
    bound = scipy.stats.binomtest(int(found.counts[2, 1]), 300, alternative="greater")
    bound = bound.proportion_ci(0.99, method="exact").low
    assert float(found.radius[2]) == pytest.approx(0.5 * scipy.stats.norm.ppf(bound), rel=1e-4)
    assert float(found.radius[2]) > 0.3
    again = certify.smooth(sides, WEIGHTS, x, KEY, noise=0.5, samples=300, delta=0.01, chunk=300)
    np.testing.assert_array_equal(found.counts, again.counts)


@pytest.mark.beyond
def test_samples_without_an_answer_count_for_no_class():
    def broken(w, x):
        z = sides(w, x)
        return jnp.where(x[:, :1] > 0, jnp.nan, z)

    found = certify.smooth(broken, WEIGHTS, np.float32([[0.0, 9.0]]), KEY, noise=0.5, samples=400)
    assert found.label.tolist() == [certify.ABSTAIN]
    assert 140 < int(found.counts.sum()) < 260


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (TypeError, "key is 3: take one random key", {"key": 3}),
        (ValueError, "noise is 0.0: take a positive number", {"noise": 0.0}),
        (TypeError, "samples is 10.0: take a whole number at least 1", {"samples": 10.0}),
        (ValueError, "selection is 0: take a whole number at least 1", {"selection": 0}),
        (ValueError, "chunk is 0: take a whole number at least 1", {"chunk": 0}),
        (ValueError, "delta is 1: take a number between 0 and 1", {"delta": 1}),
        (ValueError, "x is one number: take inputs on a leading axis", {"x": np.float32(1)}),
        (ValueError, r"logits gives an array of shape \(1,\) for inputs of shape \(1, 2\): take a function",
         {"logits": lambda w, x: x @ w}),
        (ValueError, "logits gives no array for inputs", {"logits": lambda w, x: (x, w)}),
    ],
)  # fmt: skip
def test_errors(error, message, options, own_errors):
    options = {"logits": sides, "params": WEIGHTS, "x": X, "key": KEY, "noise": 0.5} | options
    places = [options.pop(name) for name in ("logits", "params", "x", "key")]
    with pytest.raises(error, match=message):
        certify.smooth(*places, **options)


def test_delta_is_no_traced_number(own_errors):
    with pytest.raises(TypeError, match="delta is traced: take a number that is known"):
        jax.jit(lambda delta: certify.smooth(sides, WEIGHTS, X, KEY, noise=0.5, delta=delta).radius)(0.1)
