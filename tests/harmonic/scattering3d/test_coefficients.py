"""Scattering of densities against its definition in NumPy, and what it is invariant to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import scattering3d
from jaxtheory.harmonic.scattering3d import coefficients
from tests.harmonic.scattering3d.direct import direct, transform

CASES = [
    ((10, 8, 9), 1, 2, 1.0),
    *(
        pytest.param(*case, marks=pytest.mark.beyond)
        for case in (
            ((16, 16, 16), 2, 3, 1.0),
            ((24, 8, 12), 2, 1, 1.3),
            ((6, 6, 6), 0, 4, 0.7),
            ((9, 11, 7), 2, 3, 0.5),
        )
    ),
]


@pytest.mark.parametrize(("shape", "J", "L", "sigma_0"), CASES)
def test_scattering_is_its_definition(rng, x64, shape, J, L, sigma_0):
    powers = (0.5, 1.0, 2.0, 3.0)
    bank = scattering3d.filter_bank(shape, J, L, sigma_0)
    # White noise has as much at the highest frequencies, where Kymatio's filters are one-sided, as elsewhere.
    x = rng.standard_normal(shape)
    s = scattering3d.scatter(bank, x, powers)
    expected = direct(x, J, L, sigma_0, powers)
    table = scattering3d.paths(bank)
    assert s.dtype == np.float64
    assert len(table) == len(s) == len(expected)
    for order in range(3):
        rows = [k for k, path in enumerate(table) if path.order == order]
        if rows:
            wanted = np.stack([expected[table[k].scales, table[k].degree] for k in rows])
            np.testing.assert_allclose(s[np.array(rows)], wanted, rtol=0, atol=1e-10 * wanted.max())


def test_channels_are_in_the_order_of_kymatio():
    # Its array is (scales and pairs of scales, degrees, powers), without the order 0.
    table = scattering3d.paths(scattering3d.filter_bank((8, 8, 8), J=2, L=1))
    scales = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    assert table[0] == (0, (), None)
    assert [path[1:] for path in table[1:]] == [(one, degree) for one in scales for degree in range(2)]


def test_energies_are_those_of_parseval(rng, x64):
    shape = (12, 12, 12)
    x = rng.standard_normal(shape)
    bank = scattering3d.filter_bank(shape, J=1, L=2, order=1)
    s = scattering3d.scatter(bank, x, (2,))[:, 0]
    spectrum = abs(np.fft.fftn(x)) ** 2 / x.size
    for path, found in zip(scattering3d.paths(bank)[1:], s[1:]):
        degree, orders = path.degree, range(-path.degree, path.degree + 1)
        kept = sum(abs(transform(shape, bank.sigma(path.scales[0]), degree, m)) ** 2 for m in orders)
        assert found == pytest.approx((spectrum * kept).sum(), rel=1e-12)
    assert s[0] == pytest.approx((x**2).sum())


@pytest.mark.parametrize(("size", "J", "L"), [(12, 1, 2), pytest.param(32, 2, 3, marks=pytest.mark.beyond)])
def test_single_precision_stays_close_to_double(rng, size, J, L):
    x = np.float32(rng.standard_normal((2, size, size, size)))
    s = scattering3d.scatter(scattering3d.filter_bank((size,) * 3, J, L), x)
    assert s.dtype == np.float32
    with jax.enable_x64(True):
        bank = scattering3d.filter_bank((size,) * 3, J, L)
        double = np.asarray(scattering3d.scatter(bank, np.float64(x)))
    orders = np.array([path.order for path in scattering3d.paths(bank)])
    for order in range(3):
        error = abs(s - double)[:, orders == order].max()
        assert error <= 2e-6 * double[:, orders == order].max()


@pytest.mark.beyond
def test_integrals_of_many_pixels_stay_close_to_double(rng):
    x = np.float32(rng.random((64, 64, 64)))
    bank = scattering3d.filter_bank((64, 64, 64), 0, 0)
    s = np.asarray(scattering3d.scatter(bank, x, (0.5, 1, 2, 3)), float)
    expected = np.array([(np.float64(x) ** power).sum() for power in (0.5, 1, 2, 3)])
    np.testing.assert_allclose(s[0], expected, rtol=1e-6)
    # A mean passes through a Gaussian of mass one.
    np.testing.assert_allclose(s[1, 1], expected[1], rtol=1e-6)


def test_quarter_turns_of_the_grid_and_circular_shifts_change_nothing(rng, x64):
    bank = scattering3d.filter_bank((9, 9, 9), 1, 2)
    x = rng.standard_normal((9, 9, 9))
    turned = [np.rot90(x, axes=(0, 1)), np.rot90(x, axes=(1, 2)), x[::-1, :, ::-1]]
    every = np.stack([x, *turned, np.roll(x, (3, -2, 5), (0, 1, 2))])
    s = np.asarray(scattering3d.scatter(bank, every))
    for one in s[1:]:
        np.testing.assert_allclose(one, s[0], rtol=1e-11)


@pytest.mark.parametrize("order", [pytest.param(0, marks=pytest.mark.beyond), 1])
def test_lower_orders_are_the_first_channels(rng, order):
    x = np.float32(rng.standard_normal((2, 8, 8, 8)))
    whole = scattering3d.scatter(scattering3d.filter_bank((8, 8, 8), 1, 1), x)
    bank = scattering3d.filter_bank((8, 8, 8), 1, 1, order=order)
    s = scattering3d.scatter(bank, x)
    assert s.shape[1] == len(scattering3d.paths(bank)) == 1 + 4 * order
    np.testing.assert_allclose(s, whole[:, : s.shape[1]], rtol=1e-5)


def test_coefficients_are_homogeneous_as_far_as_the_dtype_goes(rng):
    bank = scattering3d.filter_bank((8, 8, 8), 1, 1)
    powers = (0.5, 1.0)
    x = np.float32(rng.standard_normal((8, 8, 8)))
    expected = np.asarray(scattering3d.scatter(bank, x, powers), float)
    for scale in (1e-25, 1e25):
        found = np.asarray(scattering3d.scatter(bank, np.float32(scale) * x, powers), float)
        np.testing.assert_allclose(
            found / np.float64(np.float32(scale)) ** np.array(powers), expected, rtol=1e-4
        )


@pytest.mark.parametrize("number", [3, *(pytest.param(n, marks=pytest.mark.beyond) for n in (1, 4, 5))])
def test_any_number_of_densities_is_worked_on_in_chunks(rng, number):
    bank = scattering3d.filter_bank((6, 6, 6), 1, 1)
    x = np.float32(rng.standard_normal((number, 6, 6, 6)))
    expected = np.stack([scattering3d.scatter(bank, one) for one in x])
    for chunk in (None, 2):
        found = scattering3d.scatter(bank, x, chunk=chunk)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_nan_stays_with_its_density(rng):
    bank = scattering3d.filter_bank((6, 6, 6), 1, 1)
    x = np.float32(rng.standard_normal((3, 6, 6, 6)))
    x[1, 4, 0, 2] = np.nan
    s = scattering3d.scatter(bank, x, chunk=3)
    assert np.isnan(s[1]).all()
    assert np.isfinite(s[::2]).all()


def test_no_densities_have_no_coefficients():
    bank = scattering3d.filter_bank((6, 6, 6), 1, 1)
    assert scattering3d.scatter(bank, jnp.zeros((3, 0, 6, 6, 6))).shape == (3, 0, 7, 3)


def test_a_second_call_compiles_nothing(rng):
    x = np.float32(rng.standard_normal((6, 6, 6)))
    scattering3d.scatter(scattering3d.filter_bank((6, 6, 6), 1, 1), x)
    known = coefficients._scatter._cache_size()
    scattering3d.scatter(scattering3d.filter_bank((6, 6, 6), 1, 1), x + 1, [0.5, 1, 2])
    assert coefficients._scatter._cache_size() == known


@pytest.mark.beyond
def test_the_number_of_densities_may_be_symbolic_in_an_exported_program(rng):
    bank = scattering3d.filter_bank((6, 6, 6), 1, 1)
    (number,) = jax.export.symbolic_shape("n")
    x = jax.ShapeDtypeStruct((number, 6, 6, 6), np.float32)
    exported = jax.export.export(jax.jit(scattering3d.scatter))(bank, x)
    exported = jax.export.deserialize(exported.serialize())
    x = np.float32(rng.standard_normal((3, 6, 6, 6)))
    np.testing.assert_allclose(exported.call(bank, x), scattering3d.scatter(bank, x), rtol=1e-5)
