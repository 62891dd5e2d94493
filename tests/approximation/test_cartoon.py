"""Cartoon-like images against sums written out, numerical integrals and finely sampled images."""

import numpy as np
import pytest
from matplotlib.path import Path
from scipy.integrate import quad
from scipy.special import j1

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


def test_a_star_is_its_series(rng, x64):
    angles, phases = rng.uniform(0, 6, 7), rng.uniform(0, 6, 3)
    sizes = np.array([1, 2**-2.0, 3**-2.0])
    series = (sizes * np.cos(np.outer(angles, [1, 2, 3]) + phases)).sum(1) / sizes.sum()
    points = np.asarray(cartoon.star(angles, phases, 1.5, ripple=0.5))
    np.testing.assert_allclose(np.hypot(*points.T), (1 + series / 2) / 4.5, rtol=1e-12)
    np.testing.assert_allclose(np.arctan2(*points.T[::-1]) % (2 * np.pi), angles, rtol=1e-12)


def crossing(rng):
    """A polygon with edges through the corners of pixels, along their sides, and out of the square."""
    return np.array([[-0.25, -0.7], [0.25, -0.25], [0.25, 0.25], [0.5, 0.5], [0, 0.25], [-0.75, 0.5]])


def rough(rng):
    """A region with a rough boundary, of many short edges."""
    angles = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    return np.asarray(cartoon.star(angles, rng.uniform(0, 6, 6), 1.0, ripple=0.6))


@pytest.mark.parametrize("polygon", [crossing, rough])
def test_pixels_of_a_polygon_are_averages(polygon, rng, x64):
    vertices, fine = polygon(rng), 60
    image = np.asarray(cartoon.polygon_image(vertices, (8, 4)))
    x, y = ((np.arange(n * fine) + 0.5) / (n * fine) - 0.5 for n in (4, 8))
    inside = Path(vertices).contains_points(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2))
    np.testing.assert_allclose(image, inside.reshape(8, fine, 4, fine).mean((1, 3)), atol=6e-3)
    np.testing.assert_allclose(cartoon.polygon_image(vertices[::-1], (8, 4)), image, atol=1e-14)
    # A pixel is the mean of those that it is divided into.
    finer = np.asarray(cartoon.polygon_image(vertices, (24, 8))).reshape(8, 3, 4, 2).mean((1, 3))
    np.testing.assert_allclose(image, finer, atol=1e-13)


def test_the_mean_of_the_pixels_is_the_area(rng, x64):
    vertices = rough(rng)
    x, y = vertices.T
    area = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2
    assert float(cartoon.polygon_image(vertices, (64, 80)).mean()) == pytest.approx(area, rel=1e-12)
    single = cartoon.polygon_image(np.float32(vertices), (64, 80))
    np.testing.assert_allclose(single, cartoon.polygon_image(vertices, (64, 80)), atol=2e-5)


def test_waves_over_a_circle_are_bessel_functions(x64):
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    circle = 0.3 * np.stack([np.cos(angles), np.sin(angles)], -1) + [0.1, 0.0]
    frequencies = np.array([[0, 0], [1, 0], [2, -3.0], [0, 5]])
    norms = np.hypot(*frequencies.T[:, 1:])
    expected = np.append(np.pi * 0.09, 0.3 * j1(2 * np.pi * 0.3 * norms) / norms)
    expected = expected * np.exp(-2j * np.pi * 0.1 * frequencies[:, 0])
    found = cartoon.polygon_fourier(circle, frequencies)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # the polygon's sagitta is 1e-7
    np.testing.assert_allclose(cartoon.polygon_fourier(circle[::-1], frequencies), found, atol=1e-13)


def test_waves_over_pixels_are_those_of_the_image(rng, x64):
    # Sums over pixels of averages times the mean of a wave over each, where the wave lies along the rows.
    vertices, columns = crossing(rng) / 2, 512
    image = np.asarray(cartoon.polygon_image(vertices, (1, columns)))[0]
    left = np.arange(columns) / columns - 0.5
    wave = np.exp(-2j * np.pi * 3 * (left + 0.5 / columns)) * np.sinc(3 / columns)
    found = complex(cartoon.polygon_fourier(vertices, np.array([[3.0, 0.0]]))[0])
    assert found == pytest.approx((image * wave).mean(), abs=1e-5)


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused_of_polygons():
    with pytest.raises(ValueError, match="vertices holds fewer than three: take the corners"):
        cartoon.polygon_image(np.zeros((2, 2)), (4, 4))
    with pytest.raises(ValueError, match=r"vertices has the shape \(5, 3\): take \(\.\.\., n, 2\)"):
        cartoon.polygon_fourier(np.zeros((5, 3)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"frequencies has the shape \(3,\): take \(waves, 2\)"):
        cartoon.polygon_fourier(np.zeros((5, 2)), np.zeros(3))
    with pytest.raises(ValueError, match="shape is "):
        cartoon.polygon_image(np.zeros((3, 2)), (4, 0))
    with pytest.raises(ValueError, match=r"ripple is 1\.5: take a number from 0 to 1"):
        cartoon.star(0.0, np.zeros(2), 2.0, ripple=1.5)
    with pytest.raises(ValueError, match="phases holds none"):
        cartoon.star(0.0, np.zeros(0), 2.0)


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
    with pytest.raises(ValueError, match="heights holds fewer than two: take one more"):
        cartoon.horizon_image(np.zeros(1), 4)
    with pytest.raises(ValueError, match="columns is 0: take a whole number at least 1"):
        cartoon.horizon_image(np.zeros(3), 0)
