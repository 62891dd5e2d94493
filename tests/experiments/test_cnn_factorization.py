"""The pieces of the experiment on factored filters against NumPy and the theorems, and a run in miniature."""

import jax
import numpy as np
import pytest

from jaxtheory.approximation import factorization
from jaxtheory.experiments.approximation import cnn_factorization as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    degrees=(8, 48), factors=(2, 3), draws=2, neurons=(4,), steps=3, dimensions=(4,), knots=(2, 4)
)


def test_filters_in_use_have_their_properties():
    filters = experiment.real_filters()
    assert float(filters["db5"] @ filters["db5"]) == pytest.approx(1)
    assert {len(taps) for name, taps in filters.items() if name.endswith("of 257")} == {257}
    # Each is longer than the longest factor that a field allows.
    assert min(map(len, filters.values())) == 10
    assert min(np.abs(filters["low pass of 257"])[[0, -1]]) < 1e-15


def test_the_order_decides_what_rounding_leaves(rng):
    taps = rng.standard_normal(129)
    kept, by_angle, shuffled = (experiment.ordered(taps, order, rng) for order in experiment.ORDERS)
    assert kept < 1e-11
    assert kept < shuffled < by_angle
    assert by_angle > 1e-3


def test_products_of_norms_spoil_a_layer_where_norms_of_products_do_not(rng, x64):
    kernel, bias, x = rng.standard_normal((8, 2)), rng.standard_normal(2), rng.uniform(-1, 1, (3, 8))
    dense = np.maximum(x @ kernel + bias, 0)
    for neurons, exact in ((2, True), (16, False)):
        if neurons == 16:
            kernel, bias = rng.standard_normal((8, 16)), np.zeros(16)
            dense = np.maximum(x @ kernel, 0)
        network = factorization.from_dense(kernel, bias, 2)
        other = experiment.with_products_of_norms(network, kernel, bias)
        np.testing.assert_allclose(factorization.apply(network, x), dense, atol=1e-9)
        # The proof's biases do for sixteen weights; for a hundred rounding outweighs what they carry.
        error = np.abs(np.asarray(factorization.apply(other, x)) - dense).max()
        assert (error < 1e-6) == exact


@pytest.mark.beyond
def test_trainings_lower_the_loss_and_weights_of_dark_pixels_vanish():
    images, labels = experiment.digits()
    assert images.shape == (1797, 64)
    keys = jax.random.split(jax.random.key(0), 2)
    start, end = (experiment.trained(images, labels, 4, steps, keys) for steps in (1, 150))
    assert end["kernel"].shape == (2, 64, 4)
    dark = images.max(0) == 0
    assert dark.sum() == 3
    assert np.abs(end["kernel"][:, dark]).max() < 0.1 * np.abs(start["kernel"][:, dark]).max()
    assert np.abs(end["kernel"] - start["kernel"]).max() > 0.1


def test_ridge_functions_are_interpolated(rng):
    found = experiment.of_ridge("|t - 0.3|", 5, 10, rng)
    assert found["error"] == pytest.approx(0, abs=1e-10)  # 0.3 is a knot
    found = experiment.of_ridge("sqrt|t - 0.3|", 5, 4, rng)
    t = np.linspace(-1, 1, 4001)
    knots = np.linspace(-1, 1, 9)
    expected = np.abs(np.interp(t, knots, np.sqrt(np.abs(knots - 0.3))) - np.sqrt(np.abs(t - 0.3))).max()
    assert found["error"] == pytest.approx(expected, rel=1e-9)
    assert found["error / bound"] == pytest.approx(expected)  # 2 / sqrt(4) is 1
    assert found["layers / bound"] == 0.5
    assert found["parameters / bound"] == pytest.approx((2 * 3 + 5 + 1 + 8) / (45 + 8 + 5))


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    verdicts = [claim.verdict for claim in claims]
    assert len(claims) == 11
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    # With two draws no difference of orders is told from zero; all others hold.
    assert [verdict for place, verdict in enumerate(verdicts) if place != 3] == [Verdict.HOLDS] * 10
    assert {figure["name"] for figure in lab.figures} == {"rounding", "ridges"}
    assert len(lab.notes) == 3
