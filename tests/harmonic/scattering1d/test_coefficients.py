"""Scattering of signals against direct sums in time."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import scattering1d
from jaxtheory.harmonic.scattering1d import coefficients, moduli
from tests.harmonic.scattering1d.direct import direct, on_signal

CASES = [
    (75, 4, (4, 1), {}),
    (60, 3, (1, 2), {"T": 50.5, "folding": "sum"}),
    (64, 4, 2, {"boundary": "periodic"}),
    (75, 4, 2, {"T": "global"}),
    *(
        pytest.param(*case, marks=pytest.mark.beyond)
        for case in (
            (64, 3, 1, {}),
            (33, 5, 1, {}),
            (90, 4, (2, 3), {"T": 5}),
            (48, 3, 1, {"T": 1}),
            (72, 3, 1, {"boundary": "periodic", "T": 4, "folding": "sum"}),
            (64, 4, 1, {"boundary": "periodic", "T": "global", "folding": "sum"}),
        )
    ),
]


@pytest.mark.parametrize(("length", "J", "Q", "options"), CASES)
def test_scattering_is_its_definition_in_time(rng, x64, length, J, Q, options):
    bank = scattering1d.filter_bank(length, J, Q, **options)
    x = rng.standard_normal(length)
    expected, _, _ = direct(x, bank)
    s = scattering1d.scatter(bank, x)
    table = scattering1d.paths(bank)
    assert s.dtype == np.float64
    assert set(expected) == {path.wavelets for path in table}
    assert len(table) == len(s) == len(expected)
    for order in range(3):
        rows = [k for k, path in enumerate(table) if path.order == order]
        wanted = np.stack([expected[table[k].wavelets] for k in rows])
        np.testing.assert_allclose(s[np.array(rows)], wanted, rtol=0, atol=1e-10 * abs(wanted).max())


def test_the_page_on_kymatio_says_what_becomes_of_a_list(rng):
    page = (Path(__file__).parents[3] / "docs/kymatio.md").read_text(encoding="utf-8")
    assert "zip(scattering1d.paths(bank), np.moveaxis(y, -2, 0))" in page
    bank = scattering1d.filter_bank(64, 3)
    y = scattering1d.scatter(bank, np.float32(rng.standard_normal(64)))
    entries = {path.wavelets: one for path, one in zip(scattering1d.paths(bank), np.moveaxis(y, -2, 0))}
    assert len(entries) == y.shape[0]
    assert entries[0, 3].shape == (8,)


@pytest.mark.parametrize("T", [8, pytest.param("global", marks=pytest.mark.beyond)])
def test_a_gain_is_what_folded_means_lack(rng, x64, T):
    means, sums = (scattering1d.filter_bank(64, 4, T=T, folding=folding) for folding in ("mean", "sum"))
    x = rng.standard_normal(64)
    gains = np.array([path.gain for path in scattering1d.paths(means)])
    assert gains.min() < 1
    expected = gains[:, None] * scattering1d.scatter(sums, x)
    np.testing.assert_allclose(scattering1d.scatter(means, x), expected, rtol=0, atol=1e-14)
    assert {path.gain for path in scattering1d.paths(sums)} == {1}


@pytest.mark.parametrize(
    ("length", "J", "Q", "options"),
    [
        (75, 4, (4, 1), {}),
        pytest.param(64, 4, 2, {"boundary": "periodic", "folding": "sum"}, marks=pytest.mark.beyond),
        pytest.param(33, 5, (1, 2), {}, marks=pytest.mark.beyond),
    ],
)
def test_unaveraged_coefficients_are_those_of_the_definition(rng, x64, length, J, Q, options):
    bank = scattering1d.filter_bank(length, J, Q, T="global", **options)
    x = rng.standard_normal(length)
    _, expected, levels = direct(x, bank)
    # What averages is not in it.
    u = scattering1d.propagate(scattering1d.filter_bank(length, J, Q, **options), x)
    np.testing.assert_array_equal(u[()], x)
    table = scattering1d.paths(bank)
    assert set(u) == {path.scales for path in table}
    for path in table[1:]:
        place = [
            [n for n, one in enumerate(layer) if one[2] == scale].index(wavelet)
            for layer, scale, wavelet in zip(bank.layers, path.scales, path.wavelets)
        ]
        wanted = on_signal(expected[path.wavelets], bank, 2 ** levels[path.wavelets])
        found = u[path.scales][tuple(place)]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10 * abs(wanted).max())


@pytest.mark.beyond
def test_long_transforms_in_parts_are_the_whole_ones(rng, x64, monkeypatch):
    bank = scattering1d.filter_bank(256, 5, 16)
    group = moduli.groups(bank, bank.wavelets[0], bank.first, above=-1, coarsest=9)[0]
    real, imaginary = jnp.asarray(rng.standard_normal((2, 3, group.stop - group.start)))

    def total(real):
        return jnp.sum(moduli.response_moduli(real + 1j * imaginary, group) ** 3)

    assert group.filters.shape[-1] <= group.length // moduli.PARTS
    expected = moduli.response_moduli(real + 1j * imaginary, group), jax.grad(total)(real)
    used = []
    in_parts = moduli._in_parts
    monkeypatch.setattr(moduli, "LONG", group.length)
    monkeypatch.setattr(moduli, "_in_parts", lambda *arguments: used.append(1) or in_parts(*arguments))
    found = moduli.response_moduli(real + 1j * imaginary, group), jax.grad(total)(real)
    assert len(used) == 2
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("length", "J", "Q"), [(200, 4, 4), pytest.param(8192, 8, (12, 2), marks=pytest.mark.beyond)]
)
def test_single_precision_stays_close_to_double(rng, length, J, Q):
    x = rng.standard_normal((2, length))
    bank = scattering1d.filter_bank(length, J, Q)
    orders = np.array([path.order for path in scattering1d.paths(bank)])
    single = scattering1d.scatter(bank, x.astype(np.float32))
    assert single.dtype == np.float32
    with jax.enable_x64(True):
        double = np.asarray(scattering1d.scatter(scattering1d.filter_bank(length, J, Q), x))
    for order in range(3):
        error = abs(single - double)[:, orders == order].max()
        assert error <= 1e-6 * abs(double)[:, orders == order].max()


@pytest.mark.beyond
def test_means_over_long_signals_stay_close_to_double(rng):
    x = 1 + rng.standard_normal(2**17)
    bank = scattering1d.filter_bank(2**17, 3, T="global")
    single = scattering1d.scatter(bank, x.astype(np.float32))
    with jax.enable_x64(True):
        double = np.asarray(scattering1d.scatter(scattering1d.filter_bank(2**17, 3, T="global"), x))
    np.testing.assert_allclose(single, double, rtol=1e-5)


@pytest.mark.parametrize("boundary", ["reflect", "periodic"])
def test_a_constant_signal_has_one_coefficient(boundary):
    bank = scattering1d.filter_bank(128, 4, 2, boundary=boundary)
    s = scattering1d.scatter(bank, np.full(128, 3.0, np.float32))
    np.testing.assert_allclose(s[0], 3, rtol=1e-6)
    np.testing.assert_allclose(s[1:], 0, atol=1e-6)


def test_circular_shifts_by_the_stride_shift_the_coefficients(rng, x64):
    bank = scattering1d.filter_bank(96, 3, 2, boundary="periodic")
    x = rng.standard_normal(96)
    s = scattering1d.scatter(bank, x)
    for strides in (1, -3):
        shifted = scattering1d.scatter(bank, np.roll(x, 8 * strides))
        np.testing.assert_allclose(shifted, np.roll(s, strides, axis=-1), rtol=0, atol=1e-14)


def test_global_means_do_not_change_under_circular_shifts(rng, x64):
    bank = scattering1d.filter_bank(96, 3, 2, boundary="periodic", T="global")
    x = rng.standard_normal(96)
    s = scattering1d.scatter(bank, x)
    np.testing.assert_allclose(scattering1d.scatter(bank, np.roll(x, 16)), s, rtol=0, atol=1e-14)


@pytest.mark.parametrize("order", [0, 1])
def test_lower_orders_are_the_first_channels(rng, order):
    x = rng.standard_normal((2, 70)).astype(np.float32)
    whole = scattering1d.scatter(scattering1d.filter_bank(70, 4, 2), x)
    bank = scattering1d.filter_bank(70, 4, 2, order=order)
    s = scattering1d.scatter(bank, x)
    assert s.shape[1] == len(scattering1d.paths(bank)) == 1 + order * len(bank.layers[0])
    np.testing.assert_allclose(s, whole[:, : s.shape[1]], rtol=0, atol=1e-6 * np.abs(whole).max())
    assert {len(scales) for scales in scattering1d.propagate(bank, x)} == set(range(order + 1))


def test_bfloat16_is_computed_in_single_precision(rng):
    bank = scattering1d.filter_bank(64, 3)
    x = jnp.asarray(rng.standard_normal(64), jnp.bfloat16)
    s = scattering1d.scatter(bank, x)
    assert s.dtype == np.float32
    np.testing.assert_array_equal(s, scattering1d.scatter(bank, x.astype(np.float32)))


def test_nan_stays_with_its_signal(rng):
    bank = scattering1d.filter_bank(64, 3)
    x = rng.standard_normal((3, 64)).astype(np.float32)
    x[1, 4] = np.nan
    s = scattering1d.scatter(bank, x, chunk=3)
    assert np.isnan(s[1]).all()
    assert np.isfinite(s[::2]).all()


def test_a_second_call_compiles_nothing(rng):
    x = rng.standard_normal((2, 64)).astype(np.float32)
    scattering1d.scatter(scattering1d.filter_bank(64, 3), x)
    known = coefficients._scatter._cache_size()
    scattering1d.scatter(scattering1d.filter_bank(64, 3), x + 1)
    assert coefficients._scatter._cache_size() == known


@pytest.mark.beyond
def test_memory_beyond_signals_and_coefficients_does_not_grow_with_their_number():
    bank = scattering1d.filter_bank(1024, 5, 8)

    def temporaries(number):
        x = jax.ShapeDtypeStruct((number, 1024), np.float32)
        compiled = jax.jit(scattering1d.scatter).lower(bank, x).compile().memory_analysis()
        assert compiled.output_size_in_bytes == number * 84 * 32 * 4
        return compiled.temp_size_in_bytes

    few, many = temporaries(500), temporaries(4000)
    assert 0 < many < 1.5 * few < 100e6


@pytest.mark.parametrize("number", [7, *(pytest.param(n, marks=pytest.mark.beyond) for n in (1, 3, 30))])
def test_any_number_of_signals_is_worked_on_in_chunks(rng, number):
    bank = scattering1d.filter_bank(40, 3)
    x = np.float32(rng.standard_normal((number, 40)))
    expected = np.stack([scattering1d.scatter(bank, one) for one in x])
    for chunk in (None, 3):
        found = scattering1d.scatter(bank, x, chunk=chunk)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    "scale", [1e-18, 1e20, *(pytest.param(one, marks=pytest.mark.beyond) for one in (1e-30, 1e35))]
)
def test_coefficients_scale_with_the_signal_as_far_as_the_dtype_goes(rng, scale):
    bank = scattering1d.filter_bank(40, 3)
    x = np.float32(rng.standard_normal((2, 40)))
    expected = np.asarray(scattering1d.scatter(bank, x), float)
    v = np.float32(rng.standard_normal(expected.shape))
    slopes = jax.jit(jax.grad(lambda x: jnp.vdot(v, scattering1d.scatter(bank, x))))
    scaled = np.float32(np.float32(scale) * np.float64(x))
    found = np.asarray(scattering1d.scatter(bank, scaled), float) / scale
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())
    # A homogeneous function has one derivative along a ray.
    np.testing.assert_allclose(slopes(scaled), slopes(x), atol=2e-4 * np.abs(slopes(x)).max())
    for one, ordinary in zip(*(scattering1d.propagate(bank, signals).values() for signals in (scaled, x))):
        size = np.abs(ordinary).max()
        np.testing.assert_allclose(np.asarray(one, float) / scale, ordinary, atol=1e-5 * size)


def test_signals_of_one_batch_have_scales_of_their_own(rng):
    bank = scattering1d.filter_bank(40, 3)
    x = np.float32(rng.standard_normal((4, 40)))
    scales = np.float32([1e-20, 1, 0, 1e20])[:, None]
    together = scattering1d.scatter(bank, scales * x)
    for one, signal in zip(together, scales * x):
        size = float(np.abs(signal).max())
        np.testing.assert_allclose(one, scattering1d.scatter(bank, signal), rtol=1e-5, atol=1e-6 * size)


@pytest.mark.parametrize("T", [None, "global"])
def test_no_signals_have_no_coefficients(T):
    bank = scattering1d.filter_bank(64, 3, T=T, boundary="periodic")
    x = jnp.zeros((3, 0, 64))
    assert scattering1d.scatter(bank, x).shape == (3, 0, 8, 8 if T is None else 1)
    assert scattering1d.propagate(bank, x)[0, 1].shape == (3, 0, 3, 1, 32)
    gradient = jax.grad(lambda x: scattering1d.scatter(bank, x).sum())(x)
    assert gradient.shape == x.shape


def test_forms_of_signals_that_numpy_converts(rng, own_errors):
    bank = scattering1d.filter_bank(16, 2)
    whole = rng.integers(0, 255, 16, dtype=np.uint8)
    expected = scattering1d.scatter(bank, np.float32(whole))
    for x in (whole, whole.tolist(), whole.astype(">f4"), whole.astype(">i2"), whole.astype(np.float64)):
        found = scattering1d.scatter(bank, x)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("chunk", [None, pytest.param(3, marks=pytest.mark.beyond)])
def test_the_number_of_signals_may_be_symbolic_in_an_exported_program(rng, chunk):
    bank = scattering1d.filter_bank(40, 3)
    (number,) = jax.export.symbolic_shape("n")
    program = jax.jit(partial(scattering1d.scatter, chunk=chunk))
    x = jax.ShapeDtypeStruct((number, 40), np.float32)
    exported = jax.export.deserialize(jax.export.export(program)(bank, x).serialize())
    for count in (1, 7):
        x = np.float32(rng.standard_normal((count, 40)))
        np.testing.assert_allclose(exported.call(bank, x), scattering1d.scatter(bank, x), atol=1e-5)
