"""Tuning against closed forms: Gabor filters, energies, rectified units, and means of classes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from jaxtheory.harmonic import gabor_fit
from jaxtheory.inspection import selectivity

SIDE, FREQUENCY, ANGLE = 41, 0.15, np.pi / 3
WIDTHS = (3.5, 4.5)
FREQUENCIES = np.float32(0.15 * 2 ** (np.arange(-8, 9) / 8))


def gabor(phase):
    """A Gabor filter, written out."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    u, v = x * np.cos(ANGLE) + y * np.sin(ANGLE), y * np.cos(ANGLE) - x * np.sin(ANGLE)
    envelope = np.exp(-(u**2) / (2 * WIDTHS[0] ** 2) - v**2 / (2 * WIDTHS[1] ** 2))
    return np.float32(envelope * np.cos(2 * np.pi * FREQUENCY * u + phase))


def cells(filters, x):
    """A linear filter, the same rectified, and the energy of two in quadrature; and one that is silent."""
    even, odd = jnp.moveaxis(jnp.einsum("nhw,fhw->nf", x, filters, precision="highest"), -1, 0)
    return jnp.stack([even, jnp.maximum(even, 0), even**2 + odd**2, 0 * even], -1)


@pytest.fixture(scope="module")
def found():
    filters = np.stack([gabor(0), gabor(np.pi / 2)])
    options = {"shape": (SIDE, SIDE), "angles": 36, "phases": 16}
    return jax.tree.map(np.asarray, selectivity.tuning(cells, filters, FREQUENCIES, **options))


def test_gratings_are_waves():
    frequencies = np.array([0.1, 0.25])
    waves = selectivity.gratings(frequencies, shape=(5, 8), angles=6, phases=4)
    assert waves.shape == (2, 6, 4, 5, 8)
    y, x = np.mgrid[:5, :8] - np.array([2, 3.5])[:, None, None]
    along = x * np.cos(np.pi * 2 / 6) + y * np.sin(np.pi * 2 / 6)
    np.testing.assert_allclose(waves[1, 2, 3], np.cos(2 * np.pi * (0.25 * along - 3 / 4)), atol=1e-5)


def test_a_gabor_filter_has_the_tuning_of_its_closed_form(found):
    # Its response to a wave is the height of its spectrum there; the lobe at the opposite side is far off.
    linear, simple, complex_cell = range(3)
    theta = np.pi * np.arange(36) / 36 - ANGLE
    f = FREQUENCIES[:, None].astype(float)
    ends = (f * np.cos(theta) - FREQUENCY) * WIDTHS[0], f * np.sin(theta) * WIDTHS[1]
    expected = np.pi * np.prod(WIDTHS) * np.exp(-2 * np.pi**2 * (ends[0] ** 2 + ends[1] ** 2))
    opposite = (f * np.cos(theta) + FREQUENCY) * WIDTHS[0]
    expected += np.pi * np.prod(WIDTHS) * np.exp(-2 * np.pi**2 * (opposite**2 + ends[1] ** 2))
    np.testing.assert_allclose(found.responses[..., linear], expected, atol=2e-3 * expected.max())
    np.testing.assert_allclose(found.responses[..., simple], expected / 2, atol=2e-3 * expected.max())
    np.testing.assert_allclose(
        found.responses[..., complex_cell], expected**2, atol=1e-2 * expected.max() ** 2
    )


def test_preferences_and_widths_are_those_of_the_spectrum(found):
    np.testing.assert_allclose(found.frequency[:3], FREQUENCY, rtol=1e-6)
    np.testing.assert_allclose(found.angle[:3], ANGLE, atol=1e-3)
    octaves = float(gabor_fit.bandwidth(WIDTHS[0], FREQUENCY))
    np.testing.assert_allclose(found.octaves[:2], octaves, rtol=0.02)

    def response(angle):
        parts = (np.cos(angle) - 1) * WIDTHS[0], np.sin(angle) * WIDTHS[1]
        return np.exp(-2 * np.pi**2 * FREQUENCY**2 * (parts[0] ** 2 + parts[1] ** 2))

    half = optimize.brentq(lambda angle: response(angle) - 0.5, 0.01, 1)
    np.testing.assert_allclose(found.angle_width[:2], half, rtol=0.02)
    # An energy is the square: it is sharper, and of less circular variance.
    half = optimize.brentq(lambda angle: response(angle) ** 2 - 0.5, 0.01, 1)
    np.testing.assert_allclose(found.angle_width[2], half, rtol=0.02)
    angles = np.pi * np.arange(3600) / 3600 - np.pi / 2
    for cell, power in ((0, 1), (2, 2)):
        weights = response(angles) ** power
        expected = 1 - np.abs(np.sum(weights * np.exp(2j * angles))) / np.sum(weights)
        np.testing.assert_allclose(found.circular_variance[cell], expected, atol=2e-3)


def test_phase_tells_simple_cells_from_complex_ones(found):
    linear, simple, complex_cell, silent = found.modulation
    assert abs(linear) > 1e3
    # Sixteen phases: the mean of a rectified wave is a little less than 1 / pi.
    assert simple == pytest.approx(np.pi / 2, rel=0.02)
    assert complex_cell == pytest.approx(0, abs=5e-3)
    assert silent == 0


def test_a_silent_unit_prefers_nothing(found):
    assert found.circular_variance[3] == 1
    assert found.angle_width[3] == np.float32(np.pi / 2)
    assert np.isinf(found.octaves[3])
    assert np.all(found.responses[..., 3] == 0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_modulation_of_powers_of_a_rectified_wave(order):
    x = np.linspace(-np.pi / 2, np.pi / 2, 20_001)
    expected = 2 * np.trapezoid(np.cos(x) ** (order + 1), x) / np.trapezoid(np.cos(x) ** order, x)
    wave = np.maximum(np.cos(2 * np.pi * np.arange(256) / 256 - 0.3), 0) ** order
    np.testing.assert_allclose(selectivity.modulation(np.stack([wave, 5 * wave])), expected, rtol=1e-4)


def test_modulation_has_the_sign_of_the_mean_and_is_defined_everywhere():
    wave = np.cos(2 * np.pi * np.arange(8) / 8)
    found = selectivity.modulation(np.stack([wave - 2, 0 * wave, 0 * wave + 3]))
    np.testing.assert_allclose(found, [-0.5, 0, 0], atol=1e-6)
    odd = np.array([1.0, -1, 0])
    assert np.isinf(selectivity.modulation(odd))


def test_circular_variance_of_bumps_and_rotations(rng):
    angles = np.pi * np.arange(12) / 12
    kappa = 1.7
    bump = np.exp(kappa * np.cos(2 * (angles - 0.4)))
    np.testing.assert_allclose(
        selectivity.circular_variance(bump), 1 - special.iv(1, kappa) / special.iv(0, kappa), rtol=1e-4
    )
    some = rng.random((3, 12))
    np.testing.assert_allclose(
        selectivity.circular_variance(np.roll(some, 5, -1)), selectivity.circular_variance(some), rtol=1e-5
    )
    np.testing.assert_allclose(selectivity.circular_variance(np.ones(12)), 1, atol=1e-6)
    np.testing.assert_allclose(selectivity.circular_variance(np.eye(12)), 0, atol=1e-6)


@pytest.mark.beyond
def test_what_units_answer_to_nothing():
    def offset(params, x):
        return params + jnp.maximum(x[:, 3, 3, :1], 0)

    options = {"shape": (7, 7, 2), "angles": 4, "phases": 16}
    rest, frequencies = np.float32([2.0]), np.array([0.1, 0.2])
    blank = selectivity.tuning(offset, rest, frequencies, **options)
    np.testing.assert_allclose(blank.modulation, np.pi / 2, rtol=0.02)
    np.testing.assert_allclose(blank.circular_variance, 1, atol=1e-5)
    # Around an image of ones, a wave of amplitude a half is not rectified.
    options |= {"mean": np.ones((7, 1, 2)), "contrast": 0.5, "baseline": "zero"}
    zero = selectivity.tuning(offset, rest, frequencies, **options)
    np.testing.assert_allclose(zero.modulation, 0.5 / 3, rtol=1e-4)
    np.testing.assert_allclose(zero.responses, 3, rtol=1e-4)


@pytest.mark.beyond
def test_maps_with_channels_keep_their_axes():
    def maps(params, x):
        return x[:, ::2, ::3, :] * params

    found = selectivity.tuning(maps, 2.0, np.array([0.2]), shape=(4, 6, 3), angles=3, phases=4)
    assert found.responses.shape == (1, 3, 2, 2, 3)
    assert found.frequency.shape == found.octaves.shape == (2, 2, 3)
    np.testing.assert_allclose(found.responses, 2, rtol=1e-5)


def test_class_selectivity_of_means(rng):
    responses, labels = rng.random((60, 4, 2)), rng.integers(0, 5, 60)
    found = selectivity.class_selectivity(responses, labels, classes=5)
    means = np.stack([responses[labels == k].mean(0) for k in range(5)])
    ordered = np.sort(means, 0)
    best, others = ordered[-1], ordered[:-1].mean(0)
    np.testing.assert_allclose(found.means, means, rtol=1e-5)
    np.testing.assert_allclose(found.index, (best - others) / (best + others), rtol=1e-4)
    np.testing.assert_array_equal(found.preferred, means.argmax(0))
    one_hot = np.eye(5)[labels] @ np.diag([1, 0, 2, 3, 0])
    np.testing.assert_allclose(
        selectivity.class_selectivity(one_hot, labels, classes=5).index, [1, 0, 1, 1, 0]
    )


def _sum(params, x):
    return jnp.sum(x, (1, 2)) + params


def _pair(params, x):
    return x, params


def _number(params, x):
    return jnp.sum(x) + params


def tuning(frequencies, features=_sum, **options):
    return selectivity.tuning(features, 0.0, frequencies, **{"shape": (4, 4)} | options)


ONES, ONE = np.ones((2, 3)), np.ones(1)
WAVES = partial(selectivity.gratings, shape=(4, 4))
CLASSES = partial(selectivity.class_selectivity, classes=2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            partial(selectivity.modulation, np.ones(2)),
            ValueError,
            r"^responses has 2 phases: take at least 3$",
        ),
        (
            partial(selectivity.modulation, 1.0),
            ValueError,
            r"^responses has the shape \(\): take \(\.\.\., p",
        ),
        (
            partial(selectivity.circular_variance, np.ones(2)),
            ValueError,
            r"^responses has 2 directions: take a",
        ),
        (
            partial(selectivity.circular_variance, np.ones(3, complex)),
            TypeError,
            r"^responses is complex \(co",
        ),
        (partial(WAVES, ONES), ValueError, r"^frequencies has the shape \(2, 3\): take \(frequencies,\)"),
        (partial(WAVES, ONE, shape=(4,)), ValueError, r"^shape is \(4,\): take \(H, W\)$"),
        (partial(WAVES, ONE, angles=0), ValueError, r"^angles is 0: take a whole number at least 1$"),
        (
            partial(tuning, np.array([0.1, 0.1])),
            ValueError,
            r"^frequencies do not rise: take them in rising or",
        ),
        (
            partial(tuning, np.array([0.0, 0.1])),
            ValueError,
            r"^frequencies holds 0\.0: take positive numbers$",
        ),
        (partial(tuning, np.zeros(0)), ValueError, r"^frequencies is empty: take at least one frequency$"),
        (partial(tuning, ONE, phases=2), ValueError, r"^phases is 2: take a whole number at least 3$"),
        (partial(tuning, ONE, angles=2.5), TypeError, r"^angles is 2\.5: take a whole number at least 3$"),
        (partial(tuning, ONE, baseline="dark"), ValueError, r"^baseline is 'dark': take 'blank' or 'zero'$"),
        (
            partial(tuning, ONE, mean=ONES),
            ValueError,
            r"^mean has the shape \(2, 3\): take one number, or an im",
        ),
        (
            partial(tuning, ONE, _pair),
            ValueError,
            r"^features returns a structure of 2 arrays: take a function",
        ),
        (
            partial(tuning, ONE, _number),
            ValueError,
            r"^features returns float32 of the shape \(\) for 128 images",
        ),
        (
            partial(CLASSES, ONES[:0], np.zeros(0, int)),
            ValueError,
            r"^responses has the shape \(0, 3\): take a",
        ),
        (
            partial(CLASSES, -ONES, np.arange(2)),
            ValueError,
            r"^responses holds -1\.0: take numbers of 0 or more",
        ),
        (partial(CLASSES, ONES, np.arange(3)), ValueError, r"^labels has the shape \(3,\): take \(2,\)"),
        (
            partial(CLASSES, ONES, np.ones(2, int)),
            ValueError,
            r"^labels hold no example of class 0: take at lea",
        ),
        (
            partial(CLASSES, ONES, np.ones(2)),
            TypeError,
            r"^labels are float64: take whole numbers, classes fro",
        ),
        (
            partial(CLASSES, ONES, np.array([0, 2])),
            ValueError,
            r"^labels run from 0 to 2: take 0 to 1 for 2 cl",
        ),
    ],
)
@pytest.mark.usefixtures("own_errors")
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
