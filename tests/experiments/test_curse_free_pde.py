"""The pieces of the experiment on partial differential equations, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy import integrate
from scipy.stats import multivariate_normal, norm

from jaxtheory.experiments.approximation import curse_free_pde as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(dimensions=(1, 30), steps=3, batch=8, pairs=1, tested=200, draws=2)


def inside(problem, rng, *shape):
    """Points in the region of a problem."""
    *number, dimension = shape
    return experiment.PROBLEMS[problem].starts(rng.random((*number, dimension + 1)))


@pytest.mark.parametrize("problem", experiment.PROBLEMS)
def test_closed_forms_are_integrals_over_the_ends_of_paths(problem, rng):
    _, _, _, values, solution = experiment.PROBLEMS[problem]
    x, z = inside(problem, rng, 5, 1, 1), np.linspace(-9, 9, 20_001)[:, None]
    with jax.enable_x64(True):
        at_ends = np.asarray(values(jnp.asarray(x), jnp.asarray(z), jnp.ones(1)))
    expected = integrate.simpson(at_ends * norm.pdf(z[:, 0]), x=z[:, 0])
    np.testing.assert_allclose(solution(x[:, 0], np.ones(1)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("problem", experiment.PROBLEMS)
def test_closed_forms_are_means_over_paths_that_numpy_draws(problem, rng):
    dimension, paths = 4, 100_000
    direction = rng.standard_normal(dimension)
    direction /= np.linalg.norm(direction)
    start = inside(problem, rng, 1, dimension)
    if problem == experiment.BASKET:
        matrix = np.full((dimension, dimension), experiment.CORRELATION)
        np.fill_diagonal(matrix, 1)
        noise = multivariate_normal(cov=experiment.MATURITY * matrix).rvs(paths, random_state=rng)
        drift = (experiment.RATE - experiment.VOLATILITY**2 / 2) * experiment.MATURITY
        ends = start * np.exp(drift + experiment.VOLATILITY * noise)
        values = np.maximum(ends.prod(1) ** (1 / dimension) - experiment.STRIKE, 0)
        values *= np.exp(-experiment.RATE * experiment.MATURITY)
    elif problem == experiment.WAVE:
        ends = start + np.sqrt(2 * experiment.WAVE_TIME) * rng.standard_normal((paths, dimension))
        values = np.cos(ends @ direction)
    else:
        ends = start + np.sqrt(2 * experiment.SQUARE_TIME) * rng.standard_normal((paths, dimension))
        values = (ends**2).sum(1)
    found = experiment.PROBLEMS[problem].solution(start, direction).item()
    assert values.mean() == pytest.approx(found, abs=4 * values.std() / paths**0.5)


def test_solutions_of_the_heat_equation_solve_it(rng, monkeypatch):
    """The derivative in time is the Laplacian, both by central differences."""
    direction = rng.standard_normal(3) / 2
    for problem, name in ((experiment.WAVE, "WAVE_TIME"), (experiment.SQUARE, "SQUARE_TIME")):
        solution, x = experiment.PROBLEMS[problem].solution, inside(problem, rng, 5, 3)
        moves = 1e-3 * np.eye(3)[:, None]
        second = solution(x + moves, direction) + solution(x - moves, direction) - 2 * solution(x, direction)
        laplacian = second.sum(0) / 1e-6
        time, at = getattr(experiment, name), []
        for moved in (time - 1e-4, time + 1e-4):
            monkeypatch.setattr(experiment, name, moved)
            at.append(solution(x, direction))
        np.testing.assert_allclose((at[1] - at[0]) / 2e-4, laplacian, rtol=1e-5, atol=1e-5)


def test_regions_are_those_of_the_problems(rng):
    for problem, half in ((experiment.WAVE, 3), (experiment.SQUARE, 1)):
        x = inside(problem, rng, 2000, 3)
        assert np.abs(x).max() == pytest.approx(half, rel=0.01)
        assert x.std() == pytest.approx(experiment.PROBLEMS[problem].spread, rel=0.05)
    x = inside(experiment.BASKET, rng, 2000, 100)
    # Hundred uniform numbers from 0.98 to 1.02 have the mean 1 up to a few thousandths.
    assert x.mean(1).min() == pytest.approx(80, abs=0.5)
    assert x.mean(1).max() == pytest.approx(120, abs=0.5)
    assert (x.max(1) / x.min(1)).max() <= 1.02 / 0.98
    assert x.std() == pytest.approx(experiment.PROBLEMS[experiment.BASKET].spread, rel=0.05)


def test_assets_are_correlated_as_told(rng):
    drawn = np.asarray(experiment.correlated(jnp.asarray(rng.standard_normal((50_000, 3)))))
    expected = np.full((3, 3), experiment.CORRELATION)
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.02)


@pytest.mark.beyond
def test_antithetic_pairs_are_means_that_vary_less():
    key, direction = jax.random.key(0), jnp.ones(1)
    x, pairs = experiment.averaged(experiment.WAVE, key, direction, 4000, 1)
    many = experiment.averaged(experiment.WAVE, key, direction, 4000, 8)[1]
    exact = experiment.wave_solution(np.asarray(x, float), np.ones(1))
    deviations = [np.std(np.asarray(one, float) - exact) for one in (pairs, many)]
    assert deviations[0] / deviations[1] == pytest.approx(8**0.5, rel=0.1)
    assert np.mean(np.asarray(pairs) - exact) == pytest.approx(0, abs=4 * deviations[0] / 4000**0.5)
    alone = experiment.wave(x, jax.random.normal(key, x.shape), direction)
    assert np.std(np.asarray(alone) - exact) > 1.2 * deviations[0]


def test_the_linear_fit_is_that_of_least_squares(rng):
    from sklearn.linear_model import LinearRegression

    x = 100 + rng.standard_normal((300, 4))
    y = x[:, 0] ** 2 - x[:, 1] + rng.standard_normal(300)
    np.testing.assert_allclose(experiment.linear_fit(x, y), LinearRegression().fit(x, y).predict(x))


@pytest.mark.beyond
def test_networks_learn_from_paths_alone(rng):
    config = experiment.Config(width=20, steps=300, batch=64, pairs=4, rate=0.2, tested=500, draws=2)
    made = {1: experiment.network_of(config.width, 1)}
    found = experiment.compare(config, made, experiment.SQUARE, 1, rng)
    # A parabola on a symmetric interval has no linear part.
    assert found["best linear fit"] == pytest.approx(100, abs=2)
    assert found["network"] < 15
    assert found["of its size"] < found["network"]


def results(**errors):
    """What a sweep would give for errors of a problem that grow with the dimension."""
    dimensions, rng = [1, 25, 100], np.random.default_rng(0)
    shape = len(experiment.PROBLEMS), len(dimensions), 3
    network = np.broadcast_to(np.array([1.0, 7.0, 24.0])[:, None], shape).copy()
    network[: len(experiment.BARRED)] = 2.0
    for name, value in errors.items():
        network[list(experiment.PROBLEMS).index(getattr(experiment, name))] = value
    axes = {"problem": list(experiment.PROBLEMS), "dimension": dimensions, "draw": range(3)}
    arrays = {"network": network, "best linear fit": np.full(shape, 30.0)}
    return xr.Dataset(
        {name: (tuple(axes), values + 0.1 * rng.random(shape)) for name, values in arrays.items()}, axes
    )


def test_claims_are_of_errors():
    config = experiment.Config(dimensions=(1, 25, 100), draws=3)
    claims = experiment.claims(config, results())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 4
    assert [len(claim.measurements) for claim in claims] == [6, 6, 6, 2]
    worse = experiment.claims(config, results(WAVE=40.0, SQUARE=11.0))
    assert [claim.verdict for claim in worse] == [Verdict.HOLDS] + [Verdict.FAILS] * 3
    straight = results()
    straight["best linear fit"] /= 4
    claims = experiment.claims(config, straight)
    assert claims[0].verdict == Verdict.FAILS
    assert [claim.verdict for claim in claims[1:3]] == [Verdict.UNTESTED] * 2
    assert "solutions that the best linear fit misses" in claims[1].reason
    far = experiment.claims(experiment.Config(dimensions=(100,)), results().sel(dimension=[100]))
    assert far[3].verdict == Verdict.UNTESTED
    assert "add 10 to --dimensions" in far[3].reason


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [4, 4, 4, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[0].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"errors"}
    # Two hidden layers of 51 neurons and one input; the last layer has a weight and a bias.
    assert f"{2 * 51 + 52 * 51 + 52:,} (d = 1)" in lab.notes[0]
    assert len(lab.notes) == 3
