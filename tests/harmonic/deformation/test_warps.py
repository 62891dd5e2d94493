"""Warps against SciPy, closed forms and analytic images; the measures of a displacement against calculus."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxtheory.harmonic import deformation

SHAPE = (24, 31)


def random_field(rng, shape, size=3.0):
    return size * rng.standard_normal((2, *shape))


def wave(coordinates, frequency=(0.31, -0.22)):
    """A smooth function of the plane, known everywhere."""
    u, v = coordinates
    envelope = np.exp(-((u - 31.5) ** 2 + (v - 31.5) ** 2) / (2 * 6.0**2))
    return envelope * np.cos(frequency[0] * u + frequency[1] * v)


@pytest.mark.parametrize(("boundary", "mode"), [("periodic", "grid-wrap"), ("reflect", "mirror")])
def test_warp_is_scipys_cubic_spline(rng, x64, boundary, mode):
    x, tau = rng.standard_normal(SHAPE), random_field(rng, SHAPE, size=20.0)
    expected = ndimage.map_coordinates(x, np.indices(SHAPE) - tau, order=3, mode=mode)
    np.testing.assert_allclose(deformation.warp(x, tau, boundary=boundary), expected, atol=1e-12)


def test_warp_in_single_precision_stays_close_to_double(rng):
    x = rng.standard_normal((256, 256)).astype(np.float32)
    tau = random_field(rng, (256, 256)).astype(np.float32)
    expected = ndimage.map_coordinates(
        x.astype(float), np.indices(x.shape) - tau.astype(float), order=3, mode="grid-wrap"
    )
    warped = deformation.warp(x, tau)
    assert warped.dtype == np.float32
    np.testing.assert_allclose(warped, expected, atol=5e-6)


@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
def test_no_displacement_changes_nothing(rng, x64, boundary):
    x = rng.standard_normal(SHAPE)
    np.testing.assert_allclose(deformation.warp(x, np.zeros((2, *SHAPE)), boundary=boundary), x, atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 6), (5, 1), (2, 2), (1, 1)])
def test_small_images_are_warped_by_whole_pixels(rng, x64, shape):
    x, tau = rng.standard_normal(shape), np.ones((2, *shape))
    np.testing.assert_allclose(deformation.warp(x, tau), np.roll(x, (1, 1), (0, 1)), atol=1e-13)


@pytest.mark.parametrize("shape", [(16, 16), (15, 16), (16, 15), (7, 9), (1, 4)])
def test_a_whole_shift_is_a_roll(rng, x64, shape):
    x = rng.standard_normal(shape)
    shifted = deformation.translate(x, np.array([3.0, -2.0]))
    np.testing.assert_allclose(shifted, np.roll(x, (3, -2), (0, 1)), atol=1e-13)


@pytest.mark.parametrize("shape", [(16, 18), (15, 17)])
def test_a_broken_shift_of_a_trigonometric_polynomial_is_exact(x64, shape):
    def polynomial(u, v):
        first, second = 2 * np.pi * u / shape[0], 2 * np.pi * v / shape[1]
        return np.cos(3 * first - 2 * second + 0.4) + np.sin(7 * first) * np.cos(5 * second) + 0.3

    u, v = np.indices(shape).astype(float)
    shift = np.array([0.37, -2.81])
    np.testing.assert_allclose(
        deformation.translate(polynomial(u, v), shift),
        polynomial(u - shift[0], v - shift[1]),
        atol=1e-13,
    )


def test_the_highest_frequency_of_an_even_size_is_shifted_as_a_cosine(x64):
    x = np.array([[1.0, -1.0, 1.0, -1.0]])
    shifted = deformation.translate(x, np.array([0.0, 0.25]))
    np.testing.assert_allclose(shifted, np.cos(np.pi * 0.25) * x, atol=1e-14)


def test_shifts_add_up(rng, x64):
    x = rng.standard_normal((15, 17))
    one, other = np.array([0.3, 1.7]), np.array([-2.2, 0.45])
    twice = deformation.translate(deformation.translate(x, one), other)
    np.testing.assert_allclose(twice, deformation.translate(x, one + other), atol=1e-12)


def test_warping_by_a_constant_is_close_to_the_exact_translation(x64):
    x = wave(np.indices((64, 64)))
    shift = np.array([1.4, -0.6])
    tau = np.broadcast_to(shift[:, None, None], (2, 64, 64))
    exact = wave(np.indices((64, 64)) - tau)
    np.testing.assert_allclose(deformation.translate(x, shift), exact, atol=5e-4)
    np.testing.assert_allclose(deformation.warp(x, tau), exact, atol=5e-4)


def maps():
    tau = deformation.random_displacement(jax.random.key(3), (64, 64), smoothness=8.0, max_gradient=0.4)
    return {
        "dilation": deformation.dilation(0.15, (64, 64)),
        "shrinking": deformation.dilation(-0.2, (64, 64)),
        "rotation": deformation.rotation(0.4, (64, 64)),
        "random": tau,
    }


@pytest.mark.parametrize("name", ["dilation", "shrinking", "rotation", "random"])
def test_warps_of_an_analytic_image(x64, name):
    tau = maps()[name]
    exact = wave(np.indices((64, 64)) - tau)
    warped = deformation.warp(wave(np.indices((64, 64))), tau)
    np.testing.assert_allclose(warped, exact, atol=5e-4)


def test_dilate_and_rotate_are_warps_by_their_displacements(rng, x64):
    x = rng.standard_normal(SHAPE)
    for boundary in ("periodic", "reflect"):
        np.testing.assert_array_equal(
            deformation.dilate(x, 0.2, boundary=boundary),
            deformation.warp(x, deformation.dilation(0.2, SHAPE), boundary=boundary),
        )
        np.testing.assert_array_equal(
            deformation.rotate(x, 0.2, boundary=boundary),
            deformation.warp(x, deformation.rotation(0.2, SHAPE), boundary=boundary),
        )


def test_a_quarter_turn_is_rot90(rng, x64):
    x = rng.standard_normal((9, 9))
    np.testing.assert_allclose(deformation.rotate(x, np.pi / 2), np.rot90(x), atol=1e-12)


def test_a_dilation_moves_a_point_away_from_the_middle(x64):
    u = np.indices((33, 33))
    x = np.exp(-((u[0] - 16) ** 2 + (u[1] - 22) ** 2) / 18.0)
    moved = deformation.dilate(x, 0.25, boundary="reflect")
    assert np.unravel_index(np.argmax(moved), moved.shape) == (16, 24)


@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
def test_derivative_in_the_displacement_is_that_of_the_analytic_image(x64, boundary):
    tau = deformation.dilation(0.1, (64, 64))
    direction = np.asarray(maps()["random"])
    x = wave(np.indices((64, 64)))
    _, slope = jax.jvp(lambda t: deformation.warp(x, t, boundary=boundary), (tau,), (jnp.asarray(direction),))
    step = 1e-5
    at = np.indices((64, 64)) - tau
    expected = (wave(at - step * direction) - wave(at + step * direction)) / (2 * step)
    np.testing.assert_allclose(slope, expected, atol=2e-2 * np.abs(expected).max())


def test_leading_axes_broadcast(rng):
    x = rng.standard_normal((3, 1, *SHAPE)).astype(np.float32)
    tau = (
        random_field(rng, SHAPE).astype(np.float32)[None].repeat(2, 0) * np.array([1, 2])[:, None, None, None]
    )
    warped = deformation.warp(x, tau.astype(np.float32))
    assert warped.shape == (3, 2, *SHAPE)
    np.testing.assert_allclose(
        warped[2, 1], deformation.warp(x[2, 0], tau[1].astype(np.float32)), rtol=0, atol=1e-5
    )
    shifts = rng.standard_normal((2, 2)).astype(np.float32)
    shifted = deformation.translate(x, shifts)
    assert shifted.shape == (3, 2, *SHAPE)
    np.testing.assert_allclose(shifted[1, 0], deformation.translate(x[1, 0], shifts[0]), atol=1e-5)
    assert deformation.dilation(np.float32([0.1, 0.2]), (4, 5)).shape == (2, 2, 4, 5)
    assert deformation.rotation(np.float32([0.1, 0.2]), (4, 5)).shape == (2, 2, 4, 5)


def test_half_precision_is_computed_in_single(rng):
    x = jnp.asarray(rng.standard_normal((8, 8)), jnp.bfloat16)
    tau = jnp.full((2, 8, 8), 0.5)
    warped = deformation.warp(x, tau)
    assert warped.dtype == jnp.bfloat16
    expected = deformation.warp(x.astype(jnp.float32), tau).astype(jnp.bfloat16)
    np.testing.assert_array_equal(np.float32(warped), np.float32(expected))


@pytest.mark.parametrize("amount", [0.3, -0.45])
def test_norms_of_a_dilation(x64, amount):
    norms = deformation.displacement_norms(deformation.dilation(amount, (11, 21)), boundary="reflect")
    np.testing.assert_allclose(norms.displacement, abs(amount) * np.hypot(5, 10))
    np.testing.assert_allclose(norms.gradient, abs(amount))
    np.testing.assert_allclose(norms.hessian, 0, atol=1e-12)
    np.testing.assert_allclose(norms.bound(3), abs(amount) * (np.hypot(5, 10) / 8 + 1))


def test_norms_of_a_rotation(x64):
    norms = deformation.displacement_norms(deformation.rotation(-0.4, (11, 21)), boundary="reflect")
    np.testing.assert_allclose(norms.gradient, 2 * np.sin(0.2))
    np.testing.assert_allclose(norms.displacement, 2 * np.sin(0.2) * np.hypot(5, 10))
    np.testing.assert_allclose(norms.hessian, 0, atol=1e-12)


@pytest.mark.parametrize("shape", [(32, 30), (31, 33)])
def test_norms_of_periodic_waves_are_those_of_calculus(x64, shape):
    rate = 2 * np.pi * 2 / shape[0], 2 * np.pi * 3 / shape[1]
    phase = rate[0] * np.arange(shape[0])[:, None] + rate[1] * np.arange(shape[1])
    tau = np.stack([0.6 * np.sin(phase), 0.8 * np.sin(phase)])
    norms = deformation.displacement_norms(tau, boundary="periodic")
    np.testing.assert_allclose(norms.displacement, np.abs(np.sin(phase)).max())
    np.testing.assert_allclose(norms.gradient, np.hypot(*rate) * np.abs(np.cos(phase)).max())
    # A product of unit vectors: its norm is exactly the second derivative along the wave.
    expected = np.hypot(*rate) ** 2 * np.abs(np.sin(phase)).max()
    assert (1 - 1.3e-3) * expected <= float(norms.hessian) <= expected * (1 + 1e-12)


def test_norms_are_operator_norms(rng, x64):
    """The singular values and a search over directions, pixel by pixel."""
    shape = (8, 8)
    tau = np.asarray(
        deformation.random_displacement(jax.random.key(1), shape, smoothness=1.5, max_gradient=0.5)
    )
    rate = 2j * np.pi * np.fft.fftfreq(8)
    rate[4] = 0

    def derivative(field, axis):
        factor = rate[:, None] if axis == 0 else rate
        return np.fft.ifft2(np.fft.fft2(field) * factor).real

    jacobian = np.stack([derivative(tau, 0), derivative(tau, 1)], 1)
    hessian = np.stack(
        [np.stack([derivative(jacobian[:, k], axis) for axis in (0, 1)], 1) for k in (0, 1)], 2
    )
    norms = deformation.displacement_norms(tau, boundary="periodic")
    singular = np.linalg.svd(jacobian.transpose(2, 3, 0, 1), compute_uv=False)
    np.testing.assert_allclose(norms.gradient, singular.max(), rtol=1e-10)
    angles = np.linspace(0, np.pi, 2000)
    outer = np.stack([np.cos(angles), np.sin(angles)])
    matrices = np.einsum("cijhw,ca->hwaij", hessian, outer)
    exact = np.abs(np.linalg.eigvalsh(matrices)).max()
    assert (1 - 1.3e-3) * exact <= float(norms.hessian) <= exact * (1 + 1e-9)


def test_finite_differences_approach_the_spectral_derivatives(x64):
    tau = deformation.random_displacement(jax.random.key(0), (64, 64), smoothness=8.0, max_gradient=0.5)
    spectral = deformation.displacement_norms(tau, boundary="periodic")
    differences = deformation.displacement_norms(tau, boundary="reflect")
    np.testing.assert_allclose(differences.displacement, spectral.displacement)
    np.testing.assert_allclose(differences.gradient, spectral.gradient, rtol=0.03)
    np.testing.assert_allclose(differences.hessian, spectral.hessian, rtol=0.2)


def test_norms_have_finite_derivatives_where_they_vanish(x64):
    def total(tau):
        norms = deformation.displacement_norms(tau, boundary="periodic")
        return norms.displacement + norms.gradient + norms.hessian

    assert np.isfinite(jax.grad(total)(jnp.zeros((2, 8, 8)))).all()
    assert np.isfinite(jax.grad(total)(jnp.ones((2, 8, 8)))).all()


@pytest.mark.parametrize("gradient", [0.01, 0.5])
@pytest.mark.parametrize("shape", [(32, 32), (33, 48)])
def test_a_random_displacement_has_the_gradient_asked_for(shape, gradient):
    tau = deformation.random_displacement(jax.random.key(7), shape, smoothness=3.0, max_gradient=gradient)
    assert tau.shape == (2, *shape)
    assert tau.dtype == np.float32
    norms = deformation.displacement_norms(tau, boundary="periodic")
    np.testing.assert_allclose(norms.gradient, gradient, rtol=1e-5)
    np.testing.assert_allclose(np.mean(tau, (1, 2)), 0, atol=1e-5)


@pytest.mark.beyond
def test_a_random_displacement_is_smooth_to_the_scale_asked_for():
    """Of noise smoothed by a Gaussian of deviation s the squared slope is 1 / (2 s^2) of the variance."""
    keys = jax.random.split(jax.random.key(0), 50)
    fields = np.stack(
        [deformation.random_displacement(key, (64, 64), smoothness=4.0, max_gradient=0.5) for key in keys]
    )
    slope = (np.roll(fields, -1, -1) - np.roll(fields, 1, -1)) / 2
    np.testing.assert_allclose((slope**2).mean() / (fields**2).mean(), 1 / (2 * 4.0**2), rtol=0.1)


def test_a_random_displacement_depends_on_its_key_alone():
    draw = lambda seed: deformation.random_displacement(  # noqa: E731
        jax.random.key(seed), (16, 16), smoothness=2.0, max_gradient=0.1
    )
    np.testing.assert_array_equal(draw(0), draw(0))
    assert np.abs(draw(0) - draw(1)).max() > 0.01


@pytest.mark.parametrize("function", [deformation.rotate, deformation.dilate])
def test_whole_amounts_are_those_of_floats(rng, function):
    x = np.float32(rng.standard_normal((8, 8)))
    amount = 1 if function is deformation.rotate else -1
    expected = function(x, float(amount))
    for same in (amount, np.int32(amount), jnp.asarray(amount)):
        np.testing.assert_array_equal(function(x, same), expected)
    whole = np.rint(3 * x).astype(np.int8)
    np.testing.assert_array_equal(function(whole, 0.3), function(np.float32(whole), 0.3))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_norms_scale_with_the_displacement(rng, scale):
    tau = np.float32(rng.standard_normal((2, 8, 9)))
    for boundary in ("periodic", "reflect"):
        norms = deformation.displacement_norms(tau, boundary=boundary)
        scaled = deformation.displacement_norms(np.float32(scale) * tau, boundary=boundary)
        for one, other in zip(jax.tree.leaves(scaled), jax.tree.leaves(norms)):
            np.testing.assert_allclose(np.float64(one) / scale, other, rtol=1e-4)


def test_no_images_have_no_deformations():
    x, tau = jnp.zeros((0, 4, 6)), jnp.zeros((0, 2, 4, 6))
    assert deformation.warp(x, tau).shape == (0, 4, 6)
    assert deformation.warp(x, tau, boundary="reflect").shape == (0, 4, 6)
    assert deformation.translate(x, jnp.zeros(2)).shape == (0, 4, 6)
    assert deformation.displacement_norms(tau, boundary="periodic").hessian.shape == (0,)


IMAGE, KEY = np.zeros((4, 4), np.float32), jax.random.key(0)


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: deformation.translate(np.zeros(4), np.zeros(2)),
            ValueError,
            r"^x has the shape \(4,\): take \(\.\.\., H, W\) for \(\.\.\., H, W\)$",
        ),
        (
            lambda: deformation.rotate(np.zeros((4, 4), np.complex64), 0.1),
            TypeError,
            r"^x is complex \(complex64\): take real numbers, as its real part$",
        ),
        (
            lambda: deformation.dilate(IMAGE, 1j),
            TypeError,
            r"^amount is complex \(complex128\): take real numbers",
        ),
        (
            lambda: deformation.translate(IMAGE, np.zeros(3)),
            ValueError,
            r"^shift has the shape \(3,\): take \(\.\.\., 2\) for \(\.\.\., components\)$",
        ),
        (
            lambda: deformation.warp(IMAGE, np.zeros((2, 4, 5))),
            ValueError,
            r"^displacement has the shape \(2, 4, 5\): take \(\.\.\., 2, 4, 4\) for",
        ),
        (
            lambda: deformation.warp(IMAGE, np.zeros((2, 4, 4)), boundary="wrap"),
            ValueError,
            r"^boundary is 'wrap': take 'periodic' or 'reflect'$",
        ),
        (
            lambda: deformation.warp(IMAGE[:1], np.zeros((2, 1, 4)), boundary="reflect"),
            ValueError,
            r"^x has images of 1 x 4 pixels: take at least 2 x 2 to reflect them$",
        ),
        (
            lambda: deformation.displacement_norms(np.zeros((3, 4, 4)), boundary="periodic"),
            ValueError,
            r"^displacement has the shape \(3, 4, 4\): take \(\.\.\., 2, H, W\) for",
        ),
        (
            lambda: deformation.displacement_norms(np.zeros((2, 1, 4)), boundary="reflect"),
            ValueError,
            r"^displacement has 1 x 4 pixels: take at least 2 x 2 for finite differences$",
        ),
        (
            lambda: deformation.random_displacement(KEY, (8, 8), smoothness=0.5, max_gradient=0.1),
            ValueError,
            r"^smoothness is 0\.5: take a number from 1 to 8$",
        ),
        (
            lambda: deformation.random_displacement(KEY, (8, 8), smoothness=9.0, max_gradient=0.1),
            ValueError,
            r"^smoothness is 9\.0: take a number from 1 to 8$",
        ),
        (
            lambda: deformation.random_displacement(KEY, (8, 8), smoothness=2.0, max_gradient=0.75),
            ValueError,
            r"^max_gradient is 0\.75: take a number from 0 to 0\.5$",
        ),
        (
            lambda: deformation.random_displacement(KEY, (8, 8), smoothness=2.0, max_gradient=0.0),
            ValueError,
            r"^max_gradient is 0\.0: take a positive number$",
        ),
        (
            lambda: deformation.random_displacement(0, (8, 8), smoothness=2.0, max_gradient=0.5),
            TypeError,
            r"^key is 0: take one random key, as jax\.random\.key\(0\)$",
        ),
        (
            lambda: deformation.rotation(0.1, (8, 8.0)),
            TypeError,
            r"^shape is 8\.0: take a whole number at least 1$",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
