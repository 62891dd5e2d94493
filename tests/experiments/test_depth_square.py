"""The pieces of the experiment on the square against fine grids and closed forms, and a run in miniature."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.approximation import relu
from jaxtheory.experiments.approximation import depth_square as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    levels=(2, 7), shallow=(7,), deep=(1,), draws=2, seeds=2, steps=40, points=32
)  # fmt: skip


def test_suprema_are_those_of_a_fine_grid(rng):
    knots = np.array([0, *np.sort(rng.uniform(size=5)), 1.0])
    network = relu.interpolant(knots, knots**2 + 0.1 * rng.standard_normal(7))
    x = np.union1d(np.linspace(0, 1, 20_001), knots)
    found = np.interp(x, knots, np.asarray(relu.apply(network, np.float32(knots[:, None])))[:, 0]) - x**2
    assert experiment.supremum(network) == pytest.approx(np.abs(found).max(), rel=1e-4)
    assert experiment.supremum(relu.square(5)) == 2.0**-12


@pytest.mark.parametrize("neurons", [1, 6, 30])
def test_equal_pieces_err_by_the_eighth_of_their_square(neurons):
    error = experiment.supremum(experiment.equal_pieces(neurons))
    assert error == pytest.approx(1 / (8 * neurons**2), rel=1e-9)
    assert experiment.by_pieces(neurons) < error


def test_products_err_where_it_is_looked_for():
    assert experiment.of_product(4, 2) == pytest.approx(2.0**-10, rel=1e-12)
    assert experiment.of_product(4, 3) == pytest.approx(2.0**-8, rel=1e-12)


def test_trainings_start_with_bends_in_the_interval():
    (kernel, bias), (last, _) = experiment.start((1, 400, 2), jax.random.key(0))
    bends = np.asarray(-bias / kernel[0])
    assert bends.min() >= -1e-6
    assert bends.max() <= 1 + 1e-6
    assert np.asarray(last).var() == pytest.approx(2 / 400, rel=0.15)


def test_values_that_are_not_random_stand_where_they_are():
    values = xr.DataArray([[1.0, 2.0]], {"level": [3], "squares": [2, 3]}, ("level", "squares"))
    found = experiment.every(values)
    assert [one.at for one in found] == [{"level": 3, "squares": 2}, {"level": 3, "squares": 3}]
    assert [one.value for one in found] == [1, 2]


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 1, 4, 2, 1, 1, 1]
    verdicts = [claim.verdict for claim in claims]
    assert all(verdicts[place] == Verdict.HOLDS for place in (0, 2, 3, 4, 6))
    assert verdicts[1] == Verdict.UNTESTED
    # An untrained network of one layer is far from ten times the error of depth seven.
    assert claims[5].measurements[0].value > 10
    assert [figure["name"] for figure in lab.figures] == ["error_by_size"]
