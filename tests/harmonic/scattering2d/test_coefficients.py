"""Scattering against direct sums in space."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import scattering2d, wavelets
from jaxtheory.harmonic.scattering2d import coefficients
from tests.harmonic.scattering2d.direct import (
    convolved,
    direct,
    in_space,
    morlet_spectra,
    without_windows,
)


@pytest.mark.parametrize(
    ("shape", "J", "L", "boundary"),
    [
        ((12, 9), 2, 3, "reflect"),
        ((8, 17), 3, 2, "reflect"),
        ((5, 4), 1, 1, "reflect"),
        ((12, 8), 2, 4, "periodic"),
        ((8, 24), 3, 2, "periodic"),
    ],
)
def test_scattering_is_its_definition_in_space(rng, x64, shape, J, L, boundary):
    bank = without_windows(scattering2d.filter_bank(shape, J, L, boundary=boundary))
    x = rng.standard_normal(shape)
    expected, _ = direct(x, *morlet_spectra(bank.grid, J, L), J, L, boundary)
    s = scattering2d.scatter(bank, x)
    assert s.dtype == np.float64
    np.testing.assert_allclose(s, expected, rtol=0, atol=1e-10 * abs(expected).max())


@pytest.mark.parametrize(("shape", "boundary"), [((9, 12), "reflect"), ((8, 16), "periodic")])
def test_the_spline_bank_scatters_by_the_same_definition(rng, x64, shape, boundary):
    bank = scattering2d.filter_bank(shape, 2, 3, boundary=boundary, wavelet=wavelets.spline)
    x = rng.standard_normal(shape)
    spectra = np.asarray(bank.wavelets), np.asarray(bank.low_pass)
    expected, _ = direct(x, *spectra, 2, 3, boundary)
    np.testing.assert_allclose(
        scattering2d.scatter(bank, x), expected, rtol=0, atol=1e-10 * abs(expected).max()
    )


@pytest.mark.parametrize(
    ("shape", "J", "L", "boundary"), [((24, 32), 3, 3, "reflect"), ((32, 16), 3, 6, "periodic")]
)
def test_windows_lose_less_than_a_ten_millionth(rng, x64, shape, J, L, boundary):
    bank = scattering2d.filter_bank(shape, J, L, boundary=boundary)
    orders = np.array([path.order for path in scattering2d.paths(bank)])
    impulse = np.zeros(shape)
    impulse[shape[0] // 2, shape[1] // 2] = 1
    x = np.stack([rng.standard_normal(shape), impulse])
    windowed = np.asarray(scattering2d.scatter(bank, x))
    whole = np.asarray(scattering2d.scatter(without_windows(bank), x))
    for order in range(3):
        error = abs(windowed - whole)[:, orders == order].max(axis=(1, 2, 3))
        assert (error <= 1e-7 * abs(whole)[:, orders == order].max(axis=(1, 2, 3))).all()


@pytest.mark.beyond
def test_single_precision_stays_close_to_double(rng):
    x = rng.standard_normal((2, 48, 64))
    bank = scattering2d.filter_bank((48, 64), 3, 4)
    orders = np.array([path.order for path in scattering2d.paths(bank)])
    single = scattering2d.scatter(bank, x.astype(np.float32))
    assert single.dtype == np.float32
    with jax.enable_x64(True):
        double = np.asarray(scattering2d.scatter(scattering2d.filter_bank((48, 64), 3, 4), x))
    for order in range(3):
        error = abs(single - double)[:, orders == order].max()
        assert error <= 2e-6 * abs(double)[:, orders == order].max()


@pytest.mark.parametrize("wavelet", [wavelets.morlet, wavelets.spline])
@pytest.mark.parametrize("boundary", ["reflect", "periodic"])
def test_a_constant_image_has_one_coefficient(wavelet, boundary):
    bank = scattering2d.filter_bank((16, 24), 2, 4, boundary=boundary, wavelet=wavelet)
    s = scattering2d.scatter(bank, np.full((16, 24), 3.0, np.float32))
    mean = 3 * np.pi / wavelets.KYMATIO_PI if wavelet is wavelets.morlet else 3
    np.testing.assert_allclose(s[0], mean, rtol=3e-6)
    np.testing.assert_allclose(s[1:], 0, atol=2e-6)


def test_circular_shifts_by_the_averages_width_shift_the_coefficients(rng):
    bank = scattering2d.filter_bank((32, 48), 3, 4, boundary="periodic")
    x = rng.standard_normal((32, 48)).astype(np.float32)
    s = scattering2d.scatter(bank, x)
    for down, right in ((1, 0), (0, 1), (-2, 3)):
        shifted = scattering2d.scatter(bank, np.roll(x, (8 * down, 8 * right), (0, 1)))
        np.testing.assert_allclose(shifted, jnp.roll(s, (down, right), (1, 2)), rtol=0, atol=3e-6)


def test_circular_shifts_are_exact_in_double_precision(rng, x64):
    for wavelet in (wavelets.morlet, wavelets.spline):
        bank = scattering2d.filter_bank((16, 24), 2, 4, boundary="periodic", wavelet=wavelet)
        x = rng.standard_normal((16, 24))
        shifted = scattering2d.scatter(bank, np.roll(x, (4, -8), (0, 1)))
        np.testing.assert_allclose(
            shifted, jnp.roll(scattering2d.scatter(bank, x), (1, -2), (1, 2)), rtol=0, atol=1e-14
        )


@pytest.mark.parametrize(
    ("shape", "J", "L", "boundary"),
    [((12, 9), 2, 3, "reflect"), ((9, 14), 3, 2, "reflect"), ((8, 16), 2, 3, "periodic")],
)
def test_unaveraged_coefficients_are_those_of_the_definition(rng, x64, shape, J, L, boundary):
    bank = without_windows(scattering2d.filter_bank(shape, J, L, boundary=boundary))
    x = rng.standard_normal(shape)
    _, expected = direct(x, *morlet_spectra(bank.grid, J, L), J, L, boundary)
    moduli = scattering2d.propagate(bank, x)
    np.testing.assert_array_equal(moduli.pop(()), x)
    assert len(moduli) == J + J * (J - 1) // 2
    before = [(whole - size) // 2 for whole, size in zip(bank.grid, shape)]
    for (first, *more), u in expected.items():
        scales = tuple(index // L for index in (first, *more))
        angles = tuple(index % L for index in (first, *more))
        # The samples whose place in the padded image lies on the image.
        on_image = [
            [k for k in range(count) if start <= k * 2 ** scales[-1] < start + size]
            for count, start, size in zip(u.shape, before, shape)
        ]
        found = moduli[scales][angles]
        np.testing.assert_allclose(found, u[np.ix_(*on_image)], rtol=0, atol=1e-10 * abs(u).max())


@pytest.mark.beyond
def test_averaging_the_unaveraged_gives_the_scattering(rng):
    bank = scattering2d.filter_bank((16, 24), J=3, L=2, boundary="periodic")
    x = rng.standard_normal((2, 16, 24)).astype(np.float32)
    low_pass = np.asarray(scattering2d.low_pass_2d(bank), float)
    s = scattering2d.scatter(bank, x)
    moduli = scattering2d.propagate(bank, x)
    for channel, path in enumerate(scattering2d.paths(bank)):
        u = moduli[path.scales]
        u = np.asarray(u[(slice(None), *path.angles)], float)
        kernel = in_space(low_pass, path.scales[-1] if path.scales else 0).real
        stride = 8 // 2 ** (path.scales[-1] if path.scales else 0)
        for one, image in zip(s[:, channel], u):
            np.testing.assert_allclose(one, convolved(image, kernel, stride), rtol=0, atol=3e-6)


@pytest.mark.parametrize("order", [0, 1])
def test_lower_orders_are_the_first_channels(rng, order):
    bank = scattering2d.filter_bank((13, 16), J=2, L=3)
    x = rng.standard_normal((13, 16)).astype(np.float32)
    lower = dataclasses.replace(bank, order=order)
    count = len(scattering2d.paths(lower))
    assert count == (1, 7)[order]
    np.testing.assert_allclose(
        scattering2d.scatter(lower, x), scattering2d.scatter(bank, x)[:count], rtol=0, atol=2e-6
    )
    assert set(scattering2d.propagate(lower, x)) == ({()} if order == 0 else {(), (0,), (1,)})


@pytest.mark.parametrize(("J", "L"), [(1, 2), (2, 3), (3, 4)])
def test_the_table_of_paths_names_every_channel(J, L):
    bank = scattering2d.filter_bank((16, 16), J, L)
    table = scattering2d.paths(bank)
    assert len(table) == len(set(table)) == 1 + J * L + L**2 * J * (J - 1) // 2
    # Kymatio's order of the channels: by the first wavelet, then by the second.
    assert table == sorted(
        table, key=lambda path: (path.order, *(key for pair in zip(path.scales, path.angles) for key in pair))
    )
    assert all(path.scales == tuple(sorted(set(path.scales))) for path in table)
    assert scattering2d.scatter(bank, np.zeros((16, 16), np.float32)).shape[0] == len(table)


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 3), (2, 1, 2)])
def test_leading_axes_are_free(rng, leading):
    bank = scattering2d.filter_bank((11, 18), J=2, L=3)
    x = rng.standard_normal((*leading, 11, 18)).astype(np.float32)
    s = scattering2d.scatter(bank, x)
    assert s.shape == (*leading, 16, 2, 4)
    for index in np.ndindex(leading):
        np.testing.assert_allclose(s[index], scattering2d.scatter(bank, x[index]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 3, 7, 50])
def test_chunks_change_nothing(rng, chunk):
    bank = scattering2d.filter_bank((16, 12), J=2, L=4)
    x = rng.standard_normal((7, 16, 12)).astype(np.float32)
    expected = scattering2d.scatter(bank, x)
    np.testing.assert_allclose(scattering2d.scatter(bank, x, chunk=chunk), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 8), (9, 15), (8, 40), (23, 31)])
@pytest.mark.parametrize("J", [1, pytest.param(3, marks=pytest.mark.beyond)])
def test_any_height_and_width(rng, shape, J):
    bank = scattering2d.filter_bank(shape, J, 2)
    s = scattering2d.scatter(bank, rng.standard_normal(shape).astype(np.float32))
    assert s.shape[1:] == (shape[0] // 2**J, shape[1] // 2**J)
    assert np.isfinite(s).all()


def test_bfloat16_is_computed_in_single_precision(rng):
    bank = scattering2d.filter_bank((16, 16), J=2, L=4)
    x = jnp.asarray(rng.standard_normal((16, 16)), jnp.bfloat16)
    s = scattering2d.scatter(bank, x)
    assert s.dtype == np.float32
    np.testing.assert_array_equal(s, scattering2d.scatter(bank, x.astype(np.float32)))


def test_nan_stays_with_its_image(rng):
    bank = scattering2d.filter_bank((16, 16), J=2, L=4)
    x = rng.standard_normal((3, 16, 16)).astype(np.float32)
    x[1, 4, 5] = np.nan
    s = scattering2d.scatter(bank, x)
    assert np.isnan(s[1]).all()
    assert np.isfinite(s[::2]).all()


def test_a_second_call_compiles_nothing(rng):
    x = rng.standard_normal((2, 16, 16)).astype(np.float32)
    scattering2d.scatter(scattering2d.filter_bank((16, 16), J=2, L=4), x)
    known = coefficients._scatter._cache_size()
    scattering2d.scatter(scattering2d.filter_bank((16, 16), J=2, L=4), x + 1)
    assert coefficients._scatter._cache_size() == known


@pytest.mark.beyond
def test_memory_beyond_images_and_coefficients_does_not_grow_with_their_number():
    bank = scattering2d.filter_bank((32, 32), J=3, L=4)

    def temporaries(number):
        x = jax.ShapeDtypeStruct((number, 32, 32), np.float32)
        compiled = jax.jit(scattering2d.scatter).lower(bank, x).compile().memory_analysis()
        assert compiled.output_size_in_bytes == number * len(scattering2d.paths(bank)) * 16 * 4
        return compiled.temp_size_in_bytes

    few, many = temporaries(1000), temporaries(8000)
    assert 0 < many < 1.5 * few < 100e6


@pytest.mark.parametrize("number", [7, *(pytest.param(n, marks=pytest.mark.beyond) for n in (1, 3, 30))])
def test_any_number_of_images_is_shared_out_over_chains(rng, number):
    bank = scattering2d.filter_bank((16, 16), J=2, L=4)
    x = np.float32(rng.standard_normal((number, 16, 16)))
    expected = np.stack([scattering2d.scatter(bank, one) for one in x])
    for chunk in (None, 1, 2, 5, 8):
        found = scattering2d.scatter(bank, x, chunk=chunk)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    "scale", [1e-18, 1e20, *(pytest.param(one, marks=pytest.mark.beyond) for one in (1e-30, 1e35))]
)
def test_coefficients_scale_with_the_image_as_far_as_the_dtype_goes(rng, scale):
    bank = scattering2d.filter_bank((16, 12), J=2, L=3)
    x = np.float32(rng.standard_normal((2, 16, 12)))
    expected = np.asarray(scattering2d.scatter(bank, x), float)
    v = np.float32(rng.standard_normal(expected.shape))
    slopes = jax.jit(jax.grad(lambda x: jnp.vdot(v, scattering2d.scatter(bank, x))))
    scaled = np.float32(np.float32(scale) * np.float64(x))
    found = np.asarray(scattering2d.scatter(bank, scaled), float) / scale
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())
    # A homogeneous function has one derivative along a ray.
    np.testing.assert_allclose(slopes(scaled), slopes(x), atol=2e-4 * np.abs(slopes(x)).max())
    moduli, ordinary = (scattering2d.propagate(bank, one) for one in (scaled, x))
    for path, one in moduli.items():
        size = np.abs(ordinary[path]).max()
        np.testing.assert_allclose(np.asarray(one, float) / scale, ordinary[path], atol=1e-5 * size)


def test_images_of_one_batch_have_scales_of_their_own(rng):
    bank = scattering2d.filter_bank((16, 12), J=2, L=3)
    x = np.float32(rng.standard_normal((4, 16, 12)))
    scales = np.float32([1e-20, 1, 0, 1e20])[:, None, None]
    together = scattering2d.scatter(bank, scales * x)
    for one, image in zip(together, scales * x):
        size = float(np.abs(image).max())
        np.testing.assert_allclose(one, scattering2d.scatter(bank, image), rtol=1e-5, atol=1e-6 * size)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_no_images_have_no_coefficients(order):
    bank = scattering2d.filter_bank((16, 12), J=2, L=2, order=order, boundary="periodic")
    number = len(scattering2d.paths(bank))
    x = jnp.zeros((3, 0, 16, 12))
    assert scattering2d.scatter(bank, x).shape == (3, 0, number, 4, 3)
    assert scattering2d.propagate(bank, x)[()].shape == (3, 0, 16, 12)
    if order == 2:
        assert scattering2d.propagate(bank, x)[0, 1].shape == (3, 0, 2, 2, 8, 6)
        assert scattering2d.cascade(bank, x, 2).propagated.shape == (3, 0, 4)
        gradient = jax.grad(lambda x: scattering2d.scatter(bank, x).sum())(x)
        assert gradient.shape == x.shape


def test_forms_of_images_that_numpy_converts(rng, own_errors):
    bank = scattering2d.filter_bank((8, 8), J=1, L=2)
    whole = rng.integers(0, 255, (8, 8), dtype=np.uint8)
    expected = scattering2d.scatter(bank, np.float32(whole))
    for x in (whole, whole.tolist(), whole.astype(">f4"), whole.astype(">i2"), whole.astype(np.float64)):
        found = scattering2d.scatter(bank, x)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        scattering2d.scatter(bank, whole > 100), scattering2d.scatter(bank, np.float32(whole > 100))
    )


@pytest.mark.parametrize(
    ("size", "chunk"),
    [(16, None), *(pytest.param(*one, marks=pytest.mark.beyond) for one in ((16, 3), (128, None)))],
)
def test_the_number_of_images_may_be_symbolic_in_an_exported_program(rng, size, chunk):
    bank = scattering2d.filter_bank((size, size), J=2, L=2)
    (number,) = jax.export.symbolic_shape("n")
    program = jax.jit(partial(scattering2d.scatter, chunk=chunk))
    x = jax.ShapeDtypeStruct((number, size, size), np.float32)
    exported = jax.export.deserialize(jax.export.export(program)(bank, x).serialize())
    for count in (1, 7):
        x = np.float32(rng.standard_normal((count, size, size)))
        np.testing.assert_allclose(exported.call(bank, x), scattering2d.scatter(bank, x), atol=1e-5)
