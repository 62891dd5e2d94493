"""Durations, times and counts in words."""

import pytest

from jaxtheory.lab import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (9.94, "9.9 s"), (9.95, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"),
        (125, "2 min 05 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h 00 min"), (36_660, "10 h 11 min"),
    ],
)  # fmt: skip
def test_durations(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.345, "12.3 s"), (1, "1 s"), (0.0123456, "12.3 ms"), (4.5e-6, "4.5 µs"), (0, "0 µs")],
)
def test_times_with_three_digits(seconds, text):
    assert words.timing(seconds) == text


@pytest.mark.parametrize(("n", "text"), [(0, "0 claims"), (1, "1 claim"), (1234, "1,234 claims")])
def test_counts(n, text):
    assert words.counted(n, "claim") == text
