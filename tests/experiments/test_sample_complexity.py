"""The pieces of the experiment on sample complexity against NumPy and scikit-learn, and a small run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import sparse_encode
from sklearn.neighbors import KNeighborsClassifier

from jaxtheory.experiments.statistics import sample_complexity as experiment
from jaxtheory.lab import Lab, Verdict, mean

TINY = experiment.Config(
    sizes=(200, 220), draws=2, tested=50, further=(experiment.NEIGHBOR,), folds=2, J=2, L=2, atoms=4,
    learned=2, steps=2,
)  # fmt: skip
SIZES = np.array([250, 500, 1000, 2000, 4000])


def over_draws(array, **options):
    return mean(array, over="draw", **options)


def power_laws(scales, exponents, sizes=SIZES, draws=4):
    """Errors c n^-a of several models, in % and with a little difference between draws."""
    factors = 1 + 0.01 * np.arange(draws)
    values = np.array(scales)[:, None, None] * sizes[:, None] ** -np.array(exponents)[:, None, None] * factors
    names = [*map(experiment.named, ("pixels", "sparse codes", "scattering")), *experiment.NETWORKS]
    dims = ("model", "size", "draw")
    return xr.DataArray(values, {"model": names, "size": sizes, "draw": range(draws)}, dims)


def test_exponents_are_those_of_power_laws():
    errors = power_laws([400, 300, 150, 500, 420], [0.5, 0.4, 0.6, 0.35, 0.7])
    found = experiment.exponents_of(errors)
    np.testing.assert_allclose(found, np.tile([[0.5], [0.4], [0.6], [0.35], [0.7]], 4), rtol=1e-12)
    # Without a mistake among 100 test digits the error is less than a half of one.
    none = xr.DataArray([5.0, 0.0], {"size": [100, 1000]}, ("size",))
    assert float(experiment.exponents_of(none, tested=100)) == pytest.approx(1)


def test_the_digits_that_an_error_takes_are_interpolated():
    errors = xr.DataArray(
        [[8.0, 4.0, 2.0], [8.0, 8.0, 8.0], [1.0, 3.0, 1.0], [8.0, 2.0, 4.0]], {"size": [100, 200, 800]},
        ("draw", "size"),
    )  # fmt: skip
    at_root = experiment.needed(errors, np.sqrt(8.0))
    np.testing.assert_allclose(at_root, [400, np.inf, 100, 100 * 4 ** (3 / 8)])
    np.testing.assert_allclose(experiment.needed(errors, 4.0), [200, np.inf, 100, 100 * 2 ** (1 / 2)])


def test_numbers_of_digits_are_told_in_words():
    def told(*numbers):
        return experiment.enough(xr.DataArray(list(numbers), dims="draw"), 250, over_draws)

    assert told(np.inf, np.inf) == "not reached"
    assert told(1000.0, np.inf, np.inf) == "with 1,000 digits in 1 of 3 draws, else not reached"
    assert told(250.0, 250.0) == "with 250 digits or fewer"
    # The logarithms' deviation is ln(10/9) sqrt(2/3), and t(0.975, 3) is 3.182.
    assert told(900.0, 1000.0, 1000.0, 1111.1111111) == "with 1,000 digits (95 %: 872 to 1,147)"


def test_the_table_gives_the_exponents_and_the_factor_of_its_figures():
    table = experiment.in_table()
    assert [one.sizes["size"] for one in table.values()] == [4] * 3
    pixels = table["pixels, SVM"]
    assert pixels.values.tolist() == [15.4, 8.2, 6.5, 4.0]
    slope = np.polyfit(np.log(pixels["size"]), np.log(pixels), 1)[0]
    assert float(experiment.exponents_of(pixels)) == pytest.approx(-slope)
    between = 300 * (1000 / 300) ** (np.log(5.6 / 5) / np.log(5.6 / 2.6))
    assert float(experiment.needed(table["scattering, SVM"], 5.0)) == pytest.approx(between)


def test_claims_follow_from_the_errors():
    errors = power_laws([300, 200, 112, 500, 250], [0.5, 0.5, 0.53, 0.35, 0.56])
    claims = experiment.order_claims(experiment.Config(), errors, over_draws)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 5
    assert [len(claim.measurements) for claim in claims] == [5] * 5
    few = experiment.order_claims(experiment.Config(coded=False), errors, over_draws)
    untested = [claim.verdict == Verdict.UNTESTED for claim in few]
    assert untested == [False, True, True, False, False]
    exponents = experiment.exponents_of(errors)
    claims = experiment.exponent_claims(errors, exponents, over_draws)
    assert claims[0].verdict == Verdict.HOLDS
    assert [one.value for one in claims[1].measurements] == pytest.approx([0.03])
    # Scattering comes down to 5 % at (112 / 5)^(1 / 0.53), pixels at (300 / 5)^2, but for the draws' factors.
    factor = 3600 * (5 / 112) ** (1 / 0.53)
    assert claims[2].measurements[0].value == pytest.approx(factor, rel=0.02)
    assert claims[2].verdict == Verdict.HOLDS
    narrow = errors.sel(size=[250, 500])
    claims = experiment.exponent_claims(narrow, experiment.exponents_of(narrow), over_draws)
    assert {claim.verdict for claim in claims} == {Verdict.UNTESTED}


def test_each_epoch_of_a_training_goes_through_the_digits(rng):
    order = experiment.order_of(120, 5, rng)
    assert order.shape == (5, 50)
    for epoch in (order[:2], order[2:4]):
        assert len(np.unique(epoch)) == 100
    assert experiment.order_of(20, 3, rng).shape == (3, 20)


def test_one_size_has_no_exponent(tmp_path):
    with pytest.raises(
        ValueError, match=r"sizes are \(500, 8000\): take at least two that are at most 4,000"
    ):
        experiment.run(experiment.Config(sizes=(500, 8000)), Lab(tmp_path))


@pytest.mark.beyond
def test_codes_are_those_of_scikit_learn_summed_over_cells(rng, x64):
    images = rng.random((3, 28, 28))
    atoms = rng.standard_normal((5, 36))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    found = np.asarray(experiment.pooled(jnp.asarray(atoms), images))
    # The neighbor classifier's features: 12 x 12 patches, in cells of 3 x 3.
    expected = np.zeros((3, 5, 16))
    for n, i, j in np.ndindex(3, 12, 12):
        patch = images[n, 2 * i : 2 * i + 6, 2 * j : 2 * j + 6].reshape(1, -1)
        options = {"algorithm": "lasso_cd", "alpha": experiment.PENALTY, "positive": True, "max_iter": 10_000}
        expected[n, :, 4 * (i // 3) + j // 3] += sparse_encode(patch, atoms, **options)[0]
    assert np.abs(found - expected).max() < 0.05 * expected.max()


@pytest.mark.beyond
def test_the_nearest_neighbor_is_scikit_learns(rng):
    features, labels = rng.standard_normal((60, 3, 2)), rng.integers(0, 10, 60)
    train, test = features[:40].reshape(40, -1), features[40:].reshape(20, -1)
    found = experiment.classified(
        experiment.NEIGHBOR, features[:40], labels[:40], features[40:], jax.random.key(0)
    )
    expected = KNeighborsClassifier(1).fit(train, labels[:40]).predict(test)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 2, 2, 2, 2, 3, 1, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert {claim.verdict for claim in claims[5:]} == {Verdict.UNTESTED}
    assert {figure["name"] for figure in lab.figures} == {"error_by_size", "classifiers", "exponents"}
    assert len(lab.notes) == 3 * 2 + 2 + 2
