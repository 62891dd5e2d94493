"""Scattering against direct sums in space, and against what theory says of it."""

import dataclasses
import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.harmonic import scattering2d, wavelets
from jaxtheory.harmonic.scattering2d import coefficients
from tests.harmonic.test_wavelets import spatial_gabor


def waves(positions, frequencies, size):
    return np.exp(2j * np.pi * np.outer(positions, frequencies) / size)


def transform(values):
    """The discrete Fourier transform, as a sum."""
    height, width = map(np.arange, values.shape)
    rows, columns = waves(height, -height, values.shape[0]), waves(width, -width, values.shape[1])
    return rows.T @ values @ columns


def in_space(spectrum, resolution):
    """A filter in space where its signal was subsampled by 2^resolution: its high frequencies are cut off."""
    sizes = [size // 2**resolution for size in spectrum.shape]
    signed = [np.arange(-(size // 2), size - size // 2) for size in sizes]
    rows, columns = (waves(np.arange(size), one, size) for size, one in zip(sizes, signed))
    return rows @ spectrum[np.ix_(*signed)] @ columns.T / (sizes[0] * sizes[1])


def convolved(x, kernel, stride):
    """Circular convolution as a sum over pixels, at every stride-th one."""
    rows, columns = ((np.arange(0, size, stride)[:, None] - np.arange(size)) % size for size in x.shape)
    return np.einsum("aubv,uv->ab", kernel[rows[:, :, None, None], columns[None, None]], x)


def morlet_spectra(grid, J, L):
    """Kymatio's filters from their closed form in space."""
    spectra = []
    for j in range(J):
        for angle in range(L):
            turn = (int(L - L / 2 - 1) - angle) * np.pi / L
            wave = spatial_gabor(grid, 0.75 * np.pi / 2**j, 0.8 * 2**j, turn, 4 / L)
            envelope = spatial_gabor(grid, 0.0, 0.8 * 2**j, turn, 4 / L)
            spectra.append(transform(wave - wave.sum() / envelope.sum() * envelope))
    return spectra, transform(spatial_gabor(grid, 0.0, 0.8 * 2 ** (J - 1), 0.0, 1.0))


def direct(x, spectra, low_pass, J, L, boundary):
    """Kymatio's definition, convolution by convolution, in space: coefficients and unaveraged ones."""
    x = x.astype(float)
    if boundary == "reflect":
        extra = [(size // 2**J + 2) * 2**J - size for size in x.shape]
        x = np.pad(x, [(more // 2, more - more // 2) for more in extra], mode="reflect")

    def average(u, resolution):
        s = convolved(u, in_space(low_pass, resolution), 2 ** (J - resolution)).real
        return s[1:-1, 1:-1] if boundary == "reflect" else s

    orders, moduli = [[average(x, 0)], [], []], {}
    for first, spectrum in enumerate(spectra):
        j = first // L
        u = abs(convolved(x, in_space(spectrum, 0), 2**j))
        moduli[first,] = u
        orders[1].append(average(u, j))
        for second in range((j + 1) * L, J * L):
            k = second // L
            deep = abs(convolved(u, in_space(spectra[second], j), 2 ** (k - j)))
            moduli[first, second] = deep
            orders[2].append(average(deep, k))
    return np.stack([one for order in orders for one in order]), moduli


def without_windows(bank):
    """The bank with every frequency of its filters, the negligible ones too."""
    return dataclasses.replace(bank, windows=None)


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


@functools.cache
def small_bank(wavelet=wavelets.morlet, J=2, L=4):
    return scattering2d.filter_bank((12, 16), J, L, boundary="periodic", wavelet=wavelet)


def layers(bank, x, order, decreasing):
    """Moduli by order, at full resolution, in NumPy: a list of (last scale, map) for each order."""
    filters = np.asarray(bank.wavelets, float)
    found = [[(-1, x.astype(float))]]
    for _ in range(order):
        spectra = [(j, np.fft.fft2(u)) for j, u in found[-1]]
        found.append(
            [
                (index // bank.L, abs(np.fft.ifft2(spectrum * one)))
                for j, spectrum in spectra
                for index, one in enumerate(filters)
                if index // bank.L > j or not decreasing
            ]
        )
    return found


def averaged(bank, u):
    return np.fft.ifft2(np.fft.fft2(u) * np.asarray(scattering2d.low_pass_2d(bank), float)).real


def full_resolution(bank, x, order):
    """The scattering transform by order without subsampling, paths of decreasing frequency."""
    return [
        np.stack([averaged(bank, u) for _, u in layer])
        for layer in layers(bank, x, order, decreasing=True)
        if layer
    ]


@pytest.mark.beyond
@given(
    seed=st.integers(0, 2**32 - 1),
    wavelet=st.sampled_from([wavelets.morlet, wavelets.spline]),
    J=st.integers(1, 2),
    L=st.integers(2, 5),
    distance=st.floats(1e-3, 10),
    order=st.integers(0, 2),
)
def test_scattering_without_subsampling_is_nonexpansive(seed, wavelet, J, L, distance, order):
    bank = small_bank(wavelet, J, L)
    x, change = np.random.default_rng(seed).standard_normal((2, 12, 16))
    y = x + distance * change
    bound = max(1, float(scattering2d.littlewood_paley(bank).max())) ** order
    moved = [
        ((one - other) ** 2).sum()
        for one, other in zip(full_resolution(bank, x, order), full_resolution(bank, y, order))
    ]
    assert sum(moved) <= bound * ((x - y) ** 2).sum() * (1 + 1e-6)


@pytest.mark.parametrize("wavelet", [wavelets.morlet, wavelets.spline])
def test_the_transform_of_that_bound_is_the_one_whose_energies_the_cascade_gives(rng, wavelet):
    bank = small_bank(wavelet)
    x = rng.standard_normal((12, 16)).astype(np.float32)
    energies = scattering2d.cascade(bank, x, order=2, paths="decreasing")
    expected = [(s**2).sum() for s in full_resolution(bank, x, 2)]
    np.testing.assert_allclose(energies.averaged, expected, rtol=2e-6)


@pytest.mark.parametrize("wavelet", [wavelets.morlet, wavelets.spline])
@pytest.mark.parametrize("paths", ["all", "decreasing"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_the_cascade_is_the_sum_over_its_paths(rng, wavelet, paths, order):
    J = 3 if paths == "decreasing" else 2
    bank = scattering2d.filter_bank((8, 16), J, 2, boundary="periodic", wavelet=wavelet)
    x = rng.standard_normal(bank.shape).astype(np.float32)
    found = layers(bank, x, order + 1, paths == "decreasing")
    energies = scattering2d.cascade(bank, x, order, paths)
    propagated = [sum((u**2).sum() for _, u in layer) for layer in found]
    kept = [sum((averaged(bank, u) ** 2).sum() for _, u in layer) for layer in found[:-1]]
    np.testing.assert_allclose(energies.propagated, propagated, rtol=2e-6)
    np.testing.assert_allclose(energies.averaged, kept, rtol=2e-6)


def test_a_unitary_bank_conserves_energy_over_all_paths(rng):
    bank = scattering2d.filter_bank((32, 24), J=2, L=4, boundary="periodic", wavelet=wavelets.spline)
    x = rng.standard_normal((3, 32, 24)).astype(np.float32)
    energies = scattering2d.cascade(bank, x, order=2)
    total = energies.averaged.sum(-1) + energies.propagated[:, -1]
    np.testing.assert_allclose(total, (x**2).sum((1, 2)), rtol=1e-5)
    fewer = scattering2d.cascade(bank, x, order=2, paths="decreasing")
    assert (fewer.averaged.sum(-1) + fewer.propagated[:, -1] < 0.99 * total).all()


@pytest.mark.parametrize("order", [4, 10])
def test_the_cascade_ends_where_no_frequency_is_lower(rng, order):
    bank = small_bank()
    x = rng.standard_normal(bank.shape).astype(np.float32)
    energies = scattering2d.cascade(bank, x, order, paths="decreasing")
    assert energies.averaged.shape == (order + 1,)
    np.testing.assert_array_equal(energies.propagated[3:], 0)
    np.testing.assert_array_equal(energies.averaged[3:], 0)
    assert (energies.propagated[:3] > 0).all()


@pytest.mark.parametrize("chunk", [None, 1, 2, 5, 100])
def test_the_cascade_takes_leading_axes_in_chunks_of_any_size(rng, chunk):
    bank = small_bank()
    x = rng.standard_normal((5, 1, *bank.shape)).astype(np.float32)
    energies = scattering2d.cascade(bank, x, order=1, chunk=chunk)
    assert energies.averaged.shape == (5, 1, 2)
    assert energies.propagated.shape == (5, 1, 3)
    for one, image in zip(energies.averaged[:, 0], x[:, 0]):
        np.testing.assert_allclose(one, scattering2d.cascade(bank, image, order=1).averaged, rtol=2e-6)


@pytest.mark.parametrize("paths", ["all", "decreasing"])
def test_the_cascade_has_derivatives(rng, x64, paths):
    bank = scattering2d.filter_bank((8, 8), 2, 2, boundary="periodic")
    x, direction = rng.standard_normal((2, 8, 8))

    def passed(image):
        return scattering2d.cascade(bank, image, 2, paths).averaged @ jnp.array([1.0, 2.0, 3.0])

    slope = (passed(x + 1e-6 * direction) - passed(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose((jax.grad(passed)(x) * direction).sum(), slope, rtol=1e-7)


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


@pytest.mark.beyond
def test_chunks_do_not_change_the_gradient(rng):
    bank = scattering2d.filter_bank((12, 8), J=2, L=2)
    x = rng.standard_normal((5, 12, 8)).astype(np.float32)

    def gradient(**options):
        return jax.grad(lambda x: (scattering2d.scatter(bank, x, **options) ** 2).sum())(x)

    np.testing.assert_allclose(gradient(chunk=2), gradient(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (9, 15), (8, 40), (23, 31)])
@pytest.mark.parametrize("J", [1, 3])
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
    energies = scattering2d.cascade(small_bank(), np.full((12, 16), np.nan, np.float32), 1)
    assert np.isnan(energies.averaged).all()


def test_a_second_call_compiles_nothing(rng):
    x = rng.standard_normal((2, 16, 16)).astype(np.float32)
    scattering2d.scatter(scattering2d.filter_bank((16, 16), J=2, L=4), x)
    known = coefficients._scatter._cache_size()
    scattering2d.scatter(scattering2d.filter_bank((16, 16), J=2, L=4), x + 1)
    assert coefficients._scatter._cache_size() == known


@pytest.mark.parametrize("program", [scattering2d.scatter, scattering2d.propagate])
def test_the_gradient_at_a_zero_image_is_finite(program):
    bank = scattering2d.filter_bank((16, 16), J=2, L=4)

    def total(bank, x):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(program(bank, x)))

    for_bank, for_image = jax.grad(total, argnums=(0, 1))(bank, jnp.zeros((16, 16)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((for_bank, for_image)))


@pytest.mark.parametrize("windows", [True, pytest.param(False, marks=pytest.mark.beyond)])
def test_the_gradient_with_respect_to_a_bank(rng, x64, windows):
    bank = scattering2d.filter_bank((10, 12), J=2, L=3)
    if not windows:
        bank = without_windows(bank)
    x = rng.standard_normal((10, 12))
    weights = rng.standard_normal(scattering2d.scatter(bank, x).shape)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), bank)

    def loss(bank):
        return jnp.vdot(weights, scattering2d.scatter(bank, x))

    def moved(step):
        return loss(jax.tree.map(lambda leaf, change: leaf + step * change, bank, direction))

    gradient = jax.grad(loss)(bank)
    slope = sum(map(jnp.vdot, jax.tree.leaves(gradient), jax.tree.leaves(direction)))
    np.testing.assert_allclose(slope, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-6)
    assert all(abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))


@pytest.mark.beyond
def test_wavelets_are_learned_through_their_parameters(rng, x64):
    x = rng.standard_normal((2, 8, 12))
    weights = rng.standard_normal((2, 1 + 6 + 9, 2, 3))

    def loss(parameters):
        bank = scattering2d.filter_bank(
            (8, 12), J=2, L=3, wavelet=partial(wavelets.morlet, parameters=parameters)
        )
        return jnp.vdot(weights, scattering2d.scatter(bank, x))

    parameters = wavelets.morlet_parameters(2, 3)
    gradient = jax.jit(jax.grad(loss))(parameters)
    for name in parameters:
        step = jax.tree.map(jnp.zeros_like, parameters) | {name: 1e-6 * jnp.ones_like(parameters[name])}
        after, before = (
            loss({key: parameters[key] + sign * step[key] for key in parameters}) for sign in (1, -1)
        )
        assert abs(gradient[name]).max() > 0
        np.testing.assert_allclose(gradient[name].sum(), (after - before) / 2e-6, rtol=1e-5, atol=1e-8)


def test_forward_over_reverse(rng, x64):
    bank = scattering2d.filter_bank((8, 8), J=2, L=2)
    x, direction = rng.standard_normal((2, 8, 8))
    gradient = jax.grad(lambda x: (scattering2d.scatter(bank, x) ** 2).sum())
    product = jax.jvp(gradient, (x,), (direction,))[1]
    difference = (gradient(x + 1e-6 * direction) - gradient(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(product, difference, rtol=0, atol=1e-6 * abs(difference).max())


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


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e20, 1e35])
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


@pytest.mark.parametrize("scale", [1e-17, 1e17])
def test_energies_scale_with_the_square_of_the_image(rng, scale):
    x = np.float32(rng.standard_normal((12, 16)))
    found, expected = (scattering2d.cascade(small_bank(), one, 2) for one in (np.float32(scale * x), x))
    for one, other in ((found.averaged, expected.averaged), (found.propagated, expected.propagated)):
        np.testing.assert_allclose(np.float64(one) / scale**2, other, rtol=2e-5)


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
