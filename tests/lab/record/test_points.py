import jax
import numpy as np
import pytest

from jaxtheory.lab.record.points import as_point


def test_points_are_copies():
    reused = np.zeros(2)
    point = as_point("error", {}, {"a": reused})
    reused += 1
    assert point["a"].tolist() == [0, 0]
    assert as_point("error", {}, 3).tolist() == 3
    assert as_point("error", {}, [1, 2]).tolist() == [1, 2]
    assert as_point("error", {}, {1: jax.numpy.ones(2)})["1"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "result",
    [None, {}, {"a": None}, {"a": {}}, [[1, 2], [3]], object(), jax.random.key(0), {"a": {"b": None}}],
)
def test_points_are_numbers_or_arrays(result):
    message = (
        rf"a point of sweep 'error' is a number, an array .*returned {type(result).__name__} .* at \{{'x'"
    )
    with pytest.raises(TypeError, match=message):
        as_point("error", {"x": 1}, result)


def test_nested_dictionaries_become_one():
    found = as_point("error", {}, {"a": {"b": 1, 2: {"c": [1, 2]}}, "d": 3.5})
    assert {name: part.tolist() for name, part in found.items()} == {"a/b": 1, "a/2/c": [1, 2], "d": 3.5}
    with pytest.raises(ValueError, match="a point of sweep 'error' has two parts called 'a/b'"):
        as_point("error", {}, {"a": {"b": 1}, "a/b": 2})
