"""Recordings window by window, against the transform of the whole."""

import jax
import numpy as np
import pytest

from jaxtheory.harmonic import scattering1d

WINDOW = 512


def bank_of(length, boundary="reflect", **facts):
    return scattering1d.filter_bank(length, **{"J": 3, "Q": 2} | facts, boundary=boundary)


def in_blocks(bank, x, cuts):
    found = [np.asarray(s) for s in scattering1d.scatter_recording(bank, np.split(x, cuts, axis=-1))]
    return np.concatenate(found, axis=-1)


@pytest.mark.parametrize(
    ("length", "cuts", "options"),
    [
        (1024, [10, 700, 701], {}),
        pytest.param(1536, [512, 1024], {"T": 16}, marks=pytest.mark.beyond),
        pytest.param(1024, [400, 800], {"order": 1, "folding": "sum"}, marks=pytest.mark.beyond),
        pytest.param(4096, list(range(100, 4096, 100)), {"Q": (4, 2)}, marks=pytest.mark.beyond),
    ],
)
def test_a_recording_in_blocks_is_the_whole(rng, length, cuts, options):
    whole = bank_of(length, **options)
    assert whole.before % whole.stride == 0
    x = rng.standard_normal((2, length)).astype(np.float32)
    expected = scattering1d.scatter(whole, x)
    found = in_blocks(bank_of(WINDOW, "periodic", **options), x, cuts)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.beyond
def test_windows_differ_from_the_whole_by_less_than_a_millionth(rng, x64):
    x = rng.standard_normal(1024)
    expected = scattering1d.scatter(bank_of(1024), x)
    found = in_blocks(bank_of(WINDOW, "periodic"), x, [300])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * abs(expected).max())


@pytest.mark.parametrize("length", [137, *(pytest.param(n, marks=pytest.mark.beyond) for n in (413, 1001))])
def test_recordings_of_any_length_have_a_coefficient_for_each_stride(rng, length):
    bank = bank_of(WINDOW, "periodic")
    x = rng.standard_normal(length).astype(np.float32)
    found = in_blocks(bank, x, [length // 2])
    assert found.shape == (len(scattering1d.paths(bank)), -(-length // 8))
    # What filters do not reach beyond the end does not depend on it.
    longer = in_blocks(bank, np.concatenate([x, np.zeros(512, np.float32)]), [length // 2])
    inside = (length - scattering1d.stream(bank).head) // 8
    np.testing.assert_allclose(longer[:, :inside], found[:, :inside], rtol=0, atol=1e-6 * np.abs(found).max())


def test_blocks_are_read_when_they_are_needed(rng):
    read = []

    def blocks():
        for _ in range(1000):
            read.append(1)
            yield np.float32(rng.standard_normal(WINDOW))

    coefficients = scattering1d.scatter_recording(bank_of(WINDOW, "periodic"), blocks())
    assert not read
    for _ in range(3):
        next(coefficients)
    assert len(read) <= 4


def test_a_step_is_a_compiled_function_of_a_state_that_does_not_grow(rng):
    bank = bank_of(WINDOW, "periodic")
    init, step, head, block = scattering1d.stream(bank)
    x = rng.standard_normal((2, head + 3 * block)).astype(np.float32)
    state, compiled = init(x[:, :head]), jax.jit(step)
    found = []
    for first in range(head, x.shape[1], block):
        before = state.recent.shape
        state, coefficients = compiled(bank, state, x[:, first : first + block])
        assert state.recent.shape == before
        found.append(np.asarray(coefficients))
    # A step lags behind by the head, which is otherwise given at the end.
    expected = in_blocks(bank, x, [head])
    found = np.concatenate(found, axis=-1)
    assert found.shape[-1] == 3 * block // bank.stride
    np.testing.assert_allclose(found, expected[..., : found.shape[-1]], rtol=0, atol=1e-6)


@pytest.mark.beyond
def test_ten_minutes_are_scattered_in_the_memory_of_a_window(rng):
    bank = scattering1d.filter_bank(2**15, 6, 4, T=256, boundary="periodic")
    init, step, head, block = scattering1d.stream(bank)
    state = jax.eval_shape(init, jax.ShapeDtypeStruct((head,), np.float32))
    new = jax.ShapeDtypeStruct((block,), np.float32)
    memory = jax.jit(step).lower(bank, state, new).compile().memory_analysis()
    assert memory.temp_size_in_bytes + memory.argument_size_in_bytes < 100e6
    rate, seconds, size = 8000, 600, 100_000
    blocks = (np.float32(rng.standard_normal(size)) for _ in range(rate * seconds // size))
    number = sum(s.shape[-1] for s in scattering1d.scatter_recording(bank, blocks))
    assert number == rate * seconds // 256
