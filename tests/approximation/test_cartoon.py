"""Horizon functions against sums written out, numerical integrals and finely sampled images."""

import numpy as np
import pytest
from scipy.integrate import quad

from jaxtheory.approximation import cartoon


def test_the_series_is_the_sum_of_its_terms(rng, x64):
    x, phases = rng.uniform(-0.5, 0.5, (4, 3)), rng.uniform(0, 6, 5)
    sizes = 2.0 ** (-0.7 * np.arange(5))
    terms = sizes * np.cos(2 * np.pi * 2.0 ** np.arange(5) * x[..., None] + phases)
    found = cartoon.weierstrass(x, phases, 0.7, base=2.0)
    np.testing.assert_allclose(found, terms.sum(-1) / sizes.sum(), atol=1e-13)


@pytest.mark.parametrize("smoothness", [0.3, 0.5])
def test_increments_grow_with_the_power_of_the_smoothness(smoothness, rng, x64):
    x, phases = rng.uniform(-0.5, 0.5, 20_000), rng.uniform(0, 2 * np.pi, 40)
    steps = cartoon.GOLDEN ** -np.arange(8.0, 17)
    f = np.asarray(cartoon.weierstrass(x + np.append(0, steps)[:, None], phases, smoothness))
    sizes = np.sqrt(np.mean((f[1:] - f[0]) ** 2, axis=1))
    slope = np.polyfit(np.log(steps), np.log(sizes), 1)[0]
    assert slope == pytest.approx(smoothness, abs=0.03)


@pytest.mark.parametrize("gap", [0.4, 0.0, -0.1, -0.25, -0.3, -0.9])
def test_the_error_of_a_ramp_is_the_integral(gap, x64):
    width = 0.3

    def squared(u):
        return (float(u >= -gap) - np.clip(u / width, 0, 1)) ** 2

    expected = quad(squared, -1, 2, points=[0, width, -gap], limit=200)[0]
    assert float(cartoon.jump_error(gap, width)) == pytest.approx(expected, abs=1e-9)


def test_pixels_are_averages(rng, x64):
    boundary = rng.uniform(-0.45, 0.45, 5)
    boundary[2] = boundary[1]
    fine = 400
    y = (np.arange(4 * fine) + 0.5) / (4 * fine) - 0.5
    x = (np.arange(6 * fine) + 0.5) / (6 * fine) - 0.5
    heights = np.interp(y, np.linspace(-0.5, 0.5, 5), boundary)
    samples = x + heights[:, None] >= 0
    expected = samples.reshape(4, fine, 6, fine).mean((1, 3))
    np.testing.assert_allclose(cartoon.horizon_image(boundary, 6), expected, atol=2e-3)
    # The image's mean is the area beyond the boundary.
    area = 0.5 + (boundary[:-1] + boundary[1:]).mean() / 2
    assert float(cartoon.horizon_image(boundary, 6).mean()) == pytest.approx(area, rel=1e-12)


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    with pytest.raises(ValueError, match=r"smoothness is 0\.0: take a positive number"):
        cartoon.weierstrass(0.0, np.zeros(2), 0.0)
    with pytest.raises(ValueError, match="phases holds none: take at least one"):
        cartoon.weierstrass(0.0, np.zeros(0), 0.5)
    with pytest.raises(ValueError, match=r"phases has the shape \(\): take \(terms,\)"):
        cartoon.weierstrass(0.0, 1.0, 0.5)
    with pytest.raises(ValueError, match=r"width is 0\.0: take a positive number"):
        cartoon.jump_error(0.1, 0.0)
    with pytest.raises(ValueError, match="boundary has fewer than two heights: take one more"):
        cartoon.horizon_image(np.zeros(1), 4)
    with pytest.raises(ValueError, match="columns is 0: take a whole number at least 1"):
        cartoon.horizon_image(np.zeros(3), 0)
