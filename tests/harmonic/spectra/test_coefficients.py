"""Scattering spectra against their definition, and what theory says of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import spectra, surrogates, wavelets
from tests.harmonic.spectra.direct import direct

BANKS = {
    "images": ((16, 12), {"J": 2, "L": 3}),
    "unitary wavelets": ((16, 16), {"J": 2, "L": 2, "wavelet": wavelets.spline}),
    "signals": ((40,), {"J": 3}),
    "odd signals": ((37,), {"J": 3}),
    "windowed signals": ((40,), {"J": 3, "window": "interior"}),
    "windowed images": ((12, 12), {"J": 1, "L": 2, "window": np.arange(144.0).reshape(12, 12)}),
}


def bank_of(name):
    shape, facts = BANKS[name]
    return spectra.filter_bank(shape, **facts)


LATER = ("unitary wavelets", "odd signals")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.beyond] * (name in LATER)) for name in BANKS]
)
def test_direct_computation_of_the_definition(name, rng, x64):
    bank = bank_of(name)
    x = rng.standard_normal((2, *bank.shape)) ** 2
    found = spectra.flatten(spectra.estimate(bank, x))
    expected = np.stack([direct(bank, one) for one in x])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.beyond
def test_wavelets_that_are_traced_have_no_boxes_and_the_same_spectra(rng, x64):
    def of(width):
        parameters = wavelets.morlet_parameters(1, 2)
        parameters["width"] = width * jnp.ones(2)

        def wavelet(shape, J, L):
            return wavelets.morlet(shape, J, L, parameters=parameters)

        bank = spectra.filter_bank((16, 16), 1, 2, wavelet=wavelet)
        return spectra.flatten(spectra.estimate(bank, x)), bank.boxes is None

    x = rng.standard_normal((16, 16))
    (known, _), (traced, boxless) = of(0.8), jax.jit(of)(0.8)
    assert bool(boxless)
    np.testing.assert_allclose(traced, known, atol=1e-6)


@pytest.mark.parametrize("scale", [pytest.param(1e-15, marks=pytest.mark.beyond), 1e12])
def test_single_precision_is_that_of_a_fifth_digit_at_any_scale(scale, rng):
    bank = spectra.filter_bank((32, 32), J=2)
    x = np.float32(scale * (rng.standard_normal((32, 32)) ** 2 + 10))
    found = spectra.estimate(bank, x)
    expected = direct(bank, x)
    n = bank.J * bank.L
    np.testing.assert_allclose(found.power, expected[1 : 1 + n], rtol=1e-5)
    rest = spectra.flatten(found)[1 + n :]
    np.testing.assert_allclose(rest, expected[1 + n :], rtol=0, atol=1e-5)


def test_translations_change_nothing(rng, x64):
    bank = spectra.filter_bank((16, 12), J=2, L=3)
    x = rng.standard_normal((16, 12))
    both = jnp.stack([x, np.roll(x, (5, 3), (0, 1))])
    one, other = spectra.flatten(spectra.estimate(bank, both))
    np.testing.assert_allclose(one, other, atol=1e-13)


def test_a_quarter_turn_permutes_angles_and_leaves_averages_over_them(rng, x64):
    L = 4
    bank = spectra.filter_bank((16, 16), J=2, L=L)
    x = rng.standard_normal((16, 16)) ** 3
    turned = x.T[:, -np.arange(16)]
    both = spectra.estimate(bank, np.stack([x, turned]))
    found, after = (jax.tree.map(lambda leaf, place=place: leaf[place], both) for place in range(2))
    np.testing.assert_allclose(*spectra.flatten(spectra.average(both, "angles")), atol=1e-10)

    def turn(number):
        """The wavelet of the turned image that sees what this one sees, and whether it is the conjugate's."""
        scale, angle = divmod(number, L)
        wraps, angle = divmod(angle + L // 2, L)
        return scale * L + angle, wraps == 1

    numbers = [turn(number)[0] for number in range(2 * L)]
    np.testing.assert_allclose(after.power[np.array(numbers)], found.power, rtol=1e-10)
    table = [one.wavelets for one in spectra.paths(bank) if one.part == "real" and len(one.wavelets) > 1]
    values = dict(zip(table, np.concatenate([after.phases, after.envelopes])))
    for path, value in zip(table, np.concatenate([found.phases, found.envelopes])):
        *moduli, outer = path
        outer, is_conjugate = turn(outer)
        moduli = [turn(number)[0] for number in moduli]
        if moduli != sorted(moduli):
            # The pair is kept in its order; in the other one it is the conjugate.
            moduli, is_conjugate = moduli[::-1], not is_conjugate
        expected = values[(*moduli, outer)]
        assert value == pytest.approx(expected.conjugate() if is_conjugate else expected, abs=1e-10)


@pytest.fixture(scope="module")
def clustered():
    """An image whose scales depend on each other, a bank of wavelets of little overlap, and spectra of the
    image and of copies with random phases, which are nearly Gaussian."""
    with jax.enable_x64(True):
        noise = jax.random.normal(jax.random.key(0), (64, 64))
        low = np.hypot(*np.meshgrid(*[np.fft.fftfreq(64)] * 2)) < 0.15
        x = jnp.exp(6 * jnp.fft.ifft2(jnp.fft.fft2(noise) * low).real)
        bank = spectra.filter_bank((64, 64), J=3, L=4, wavelet=wavelets.spline)
        keys = jax.random.split(jax.random.key(1), 24)
        copies = jax.vmap(surrogates.same_spectrum, (0, None))(keys, x)
        found = jax.tree.map(np.asarray, spectra.estimate(bank, jnp.concatenate([x[None], copies])))
        own, others = (
            jax.tree.map(lambda leaf, part=part: leaf[part], found) for part in (0, slice(1, None))
        )
        return x, bank, own, others


def test_gaussian_fields_have_power_and_no_more_than_chance_of_the_rest(clustered):
    _, bank, own, others = clustered
    np.testing.assert_allclose(others.power, np.broadcast_to(own.power, others.power.shape), rtol=1e-10)
    # The modulus of a complex Gaussian has the mean sqrt(pi) / 2 over the root of its mean square.
    assert np.abs(np.mean(others.sparsity, 0) - np.sqrt(np.pi) / 2).max() < 0.03
    assert (own.sparsity < 0.75).all()
    # Phases vanish in the mean: none is farther from zero than four standard errors.
    phases = np.asarray(others.phases)
    error = np.sqrt((np.abs(phases) ** 2).mean(0) / len(phases))
    assert (np.abs(phases.mean(0)) < 4 * error).all()
    assert np.abs(own.phases).max() > 5 * np.abs(phases.mean(0)).max()
    # Responses two scales apart are independent there: their moduli are uncorrelated.
    table = [one for one in spectra.paths(bank) if one.kind == "envelopes" and one.part == "real"]
    far = np.array([one.scales[1] - one.scales[0] == 2 for one in table])
    assert far.any()
    envelopes = np.asarray(others.envelopes)[:, far]
    error = np.sqrt((np.abs(envelopes) ** 2).mean(0) / len(envelopes))
    assert (np.abs(envelopes.mean(0)) < 4 * error).all()
    assert np.abs(np.asarray(own.envelopes)[far]).max() > 5 * np.abs(envelopes.mean(0)).max()


def test_bare_correlations_across_scales_vanish(clustered):
    # The reason for the moduli: responses of two bands that do not overlap are uncorrelated in any field.
    x, bank, found, _ = clustered
    responses = np.fft.ifft2(np.fft.fft2(x) * np.asarray(bank.wavelets))
    power = (np.abs(responses) ** 2).mean((1, 2))
    bare = np.einsum("aij,bij->ab", responses, responses.conj()) / 64**2 / np.sqrt(np.outer(power, power))
    assert np.abs(bare[:4, 8:]).max() < 0.05
    # Their moduli, in one band, are not: the coherences of two that are two scales apart.
    table = [one for one in spectra.paths(bank) if one.kind == "envelopes" and one.part == "real"]
    envelope = {one.wavelets: abs(value) for one, value in zip(table, np.asarray(found.envelopes))}
    coherences = [
        value / np.sqrt(envelope[a, a, outer] * envelope[b, b, outer])
        for (a, b, outer), value in envelope.items()
        if b // 4 - a // 4 == 2
    ]
    assert max(coherences) > 0.5


def test_powers_of_a_model_normalize():
    bank = spectra.filter_bank((32,), J=2)
    x = np.float32(np.sin(np.arange(32.0)) ** 3)
    own = spectra.estimate(bank, x)
    found = spectra.estimate(bank, x, power=4 * own.power)
    np.testing.assert_allclose(found.power, own.power)
    for name, factor in (("sparsity", 2), ("phases", 4), ("envelopes", 4)):
        np.testing.assert_allclose(factor * getattr(found, name), getattr(own, name), rtol=1e-5, atol=1e-6)


def test_constants_have_a_mean_and_nothing_else():
    bank = spectra.filter_bank((16,), J=1)
    found, pull = jax.vjp(lambda x: spectra.flatten(spectra.estimate(bank, x)), jnp.full(16, 3.0))
    assert found[0] == 3
    assert not found[1:].any()
    assert np.isfinite(pull(jnp.ones_like(found))[0]).all()


@pytest.mark.beyond
def test_chunks_and_empty_batches(rng):
    bank = spectra.filter_bank((24,), J=2)
    x = np.float32(rng.standard_normal((5, 24)))
    whole, parts = (spectra.flatten(spectra.estimate(bank, x, chunk=chunk)) for chunk in (None, 2))
    np.testing.assert_allclose(whole, parts, atol=1e-6)
    assert spectra.estimate(bank, x[:0]).phases.shape == (0, 3)
