"""Batches of data, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.landscape import curvature
from jaxtheory.landscape.curvature.batches import take


def test_a_list_keeps_the_order_and_the_numbers_of_its_batches():
    sizes = (2, 2, 3, 2, 1)
    ends = np.cumsum((0, *sizes))
    batches = take([jnp.arange(low, high) for low, high in itertools.pairwise(ends)])
    assert batches.examples == 10
    assert [group.data.shape for group in batches.groups] == [(2, 2), (1, 3), (1, 2), (1, 1)]
    assert np.concatenate([group.number for group in batches.groups]).tolist() == [0, 1, 2, 3, 4]
    for group in batches.groups:
        assert np.array_equal(group.data[:, 0], group.start)
    mean = batches.mean(lambda one: jnp.mean(one.data.astype(float)), jnp.float32(0))
    assert float(mean) == pytest.approx(4.5)


def test_data_are_divided_into_batches():
    data = {"x": np.arange(22).reshape(11, 2), "y": np.arange(11.0)}
    batches = curvature.in_batches(data, 4)
    assert [group.data["x"].shape for group in batches.groups] == [(2, 4, 2), (1, 3, 2)]
    together = np.concatenate([group.data["y"].reshape(-1) for group in batches.groups])
    np.testing.assert_array_equal(together, data["y"])
    assert len(curvature.in_batches(data, 11).groups) == 1
    assert curvature.in_batches(data, 100).groups[0].data["y"].shape == (1, 11)
    assert take(batches) is batches


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "batches is an empty list: take at least one batch"),
        ((), "batches holds no array: take a pytree of arrays"),
        ([()], r"batches\[0\] holds no array: take a pytree of arrays"),
        (
            (np.ones((2, 3)), np.ones((2, 4))),
            r"batches have the shapes \(2, 3\), \(2, 4\): take arrays with the same two leading axes",
        ),
        (np.ones(3), r"batches have the shapes \(3,\): .* or a list of batches"),
        (np.ones((2, 0)), r"batches have the shapes \(2, 0\): take at least one example"),
        (
            [(np.ones((2, 3)), np.ones(3))],
            r"batches\[0\] has arrays of the shapes \(2, 3\), \(3,\): take one leading axis of examples",
        ),
        ([np.ones(2), np.float32(1)], r"batches\[1\] has arrays of the shapes \(\)"),
        (
            [(np.ones(2), np.ones(2)), (np.ones(2),)],
            r"batches\[1\] is \(float32\[2\],\), and batches\[0\] is \(float32\[2\], float32\[2\]\): take",
        ),
        ([np.ones((2, 3)), np.ones((2, 4))], r"batches\[1\] is float32\[2, 4\], and batches\[0\]"),
        ([np.ones(2), np.ones(2, int)], r"batches\[1\] is int32\[2\], and batches\[0\] is float32\[2\]"),
    ],
)
def test_batches_of_unequal_structure(batches, message):
    with pytest.raises(ValueError, match=message):
        take(batches)


def test_batches_that_are_no_numbers():
    with pytest.raises(TypeError, match=r"batches\[0\]\['x'\] is 'one' \(str\): take an array of numbers"):
        take([{"x": "one"}])


def test_data_that_cannot_be_divided(own_errors):
    with pytest.raises(ValueError, match="examples is 0: take a whole number at least 1"):
        curvature.in_batches(np.ones(3), 0)
    for data in ((np.ones(3), np.ones(2)), np.ones(()), np.ones((0, 2))):
        with pytest.raises(ValueError, match="take arrays with one leading axis of examples, at least one"):
            curvature.in_batches(data, 2)


def test_batches_are_traced():
    x = np.arange(12.0).reshape(2, 3, 2)

    @jax.jit
    def product(x):
        operator = curvature.hessian(lambda params, batch: jnp.mean((batch @ params) ** 2), np.ones(2), x)
        return operator.matvec(np.ones(2))

    flat = x.reshape(6, 2)
    np.testing.assert_allclose(product(x), 2 * flat.T @ flat @ np.ones(2) / 6, rtol=1e-6)
