"""Programs in chunks against the same programs on everything at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import chunks


def sums(x):
    """A program on vectors: their sums, and their doubles."""
    return {"sum": x.sum(-1), "double": 2 * x}


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 4, 3), (0, 3), (2, 0, 3)])
def test_leading_axes_are_free(shape, rng):
    x = jnp.asarray(rng.standard_normal(shape), jnp.float32)
    found = chunks.by_platform(x, (3,), cpu=sums, default=sums)
    expected = sums(x)
    for name, one in expected.items():
        assert found[name].shape == one.shape
        np.testing.assert_array_equal(found[name], one)


def test_each_platform_has_its_program():
    x = jnp.ones((2, 3))
    found = chunks.by_platform(x, (3,), cpu=lambda x: x + 1, default=lambda x: x - 1)
    np.testing.assert_array_equal(found, x + 1)
    lowered = jax.jit(lambda x: chunks.by_platform(x, (3,), cpu=lambda x: x + 1, default=jnp.sin)).trace(x)
    assert "stablehlo.sine" in lowered.lower(lowering_platforms=("tpu",)).as_text()
    assert "stablehlo.sine" not in lowered.lower(lowering_platforms=("cpu",)).as_text()


@pytest.mark.parametrize(("number", "each", "chains"), [(7, 2, 1), (7, 2, 2), (4, 8, 1), (6, 1, 3)])
def test_steps_fill_up_and_leave_nothing_behind(number, each, chains, rng):
    x = jnp.asarray(rng.standard_normal((number, 3)), jnp.float32)
    seen = []

    def program(x):
        seen.append(x.shape)
        return sums(x)

    found = chunks.in_steps(program, x, each, chains=chains)
    assert set(seen) == {(each, 3)}
    for name, one in sums(x).items():
        np.testing.assert_array_equal(found[name], one)
    slope = jax.grad(lambda x: jnp.sum(chunks.in_steps(sums, x, each, chains=chains)["double"] ** 2))(x)
    np.testing.assert_allclose(slope, 8 * x, rtol=1e-6)


@pytest.mark.parametrize(
    ("number", "each", "chains", "size"),
    [(3, 4, 1, 3), (9, 4, 1, 3), (9, 4, 2, 3), (10, 9, 1, 5), (5, 5, 2, 5)],
)
def test_parts_are_of_one_size_and_few_entries_are_taken_at_once(number, each, chains, size):
    x = jnp.arange(2.0 * number).reshape(number, 2)
    seen = []

    def program(x):
        seen.append(x.shape[0])
        return sums(x)

    found = chunks.in_parts(program, x, each, chains=chains)
    assert set(seen) == {size}
    for name, one in sums(x).items():
        np.testing.assert_array_equal(found[name], one)


def test_as_many_side_by_side_as_divide_them():
    x = jnp.arange(6.0)
    for number in range(1, 8):
        np.testing.assert_array_equal(chunks.side_by_side(lambda one: one**2, x, number), x**2)
    steps = str(jax.make_jaxpr(lambda x: chunks.side_by_side(jnp.sin, x, 4))(x))
    assert "length=2" in steps  # three of six in a step, as four do not divide them
