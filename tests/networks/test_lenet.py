"""LeNets against their papers' counts, and against sums that are written out in NumPy."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxtheory import networks
from jaxtheory.networks import convolution, lenet

PUBLISHED = {
    1: {"parameters": 2578, "connections": 98_442},
    5: {"parameters": 60_000, "connections": 340_908},
}
"""LeCun et al. 1990, section 4; and 1998, section II.B, where layers are summed."""
LENET5 = {
    "C1": (156, 122_304),
    "S2": (12, 5880),
    "C3": (1516, 151_600),
    "S4": (32, 2000),
    "C5": (48_120, 48_120),
    "F6": (10_164, 10_164),
}
"""LeCun et al. 1998, section II.B: parameters and connections."""


@cache
def functional(number):
    return networks.functional(lenet.make(number))


def test_counts_are_those_of_the_papers():
    for number, totals in PUBLISHED.items():
        layers = lenet.counts(number).values()
        assert {name: sum(getattr(one, name) for one in layers) for name in totals} == totals
    # With the 784 pixels and a unit that is always on, as the paper counts them.
    assert sum(one.units for one in lenet.counts(1).values()) + 28**2 + 1 == 4635
    found = lenet.counts(5)
    assert {name: (found[name].parameters, found[name].connections) for name in LENET5} == LENET5
    # Of LeNet-4's 260,000 connections and 17,000 parameters only the former can be met.
    fourth = lenet.counts(4).values()
    assert sum(one.connections for one in fourth) == 262_306
    assert sum(one.parameters for one in fourth) == 50_698


def test_maps_of_the_tables():
    sizes = {number: sorted(map(len, table)) for number, table in lenet.TABLES.items()}
    assert sizes[1] == [1] * 4 + [2] * 8
    assert sizes[4] == [3] * 16
    assert sizes[5] == [3] * 6 + [4] * 9 + [6]
    assert lenet.TABLES[5][4:6] == ((0, 4, 5), (0, 1, 5))
    # Each map below serves ten above, as the table of the paper has ten crosses in each row.
    assert np.bincount(np.concatenate(lenet.TABLES[5])).tolist() == [10] * 6
    assert np.bincount(np.concatenate(lenet.TABLES[1])).tolist() == [5] * 4


@pytest.mark.parametrize("number", [1, 4, 5])
def test_arrays_are_as_many_as_are_counted(number):
    params, state = jax.eval_shape(functional(number).init, jax.random.key(0))
    assert state == {}
    counted = sum(one.parameters for one in lenet.counts(number).values())
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == counted


def squash(x):
    return 1.7159 * np.tanh(2 * x / 3)


def outputs(number, params, image):
    """The outputs for one image, with a loop over maps and places."""
    pad = (lenet.FORMS[number].side - image.shape[0]) // 2
    maps = [1.275 * np.pad(image, pad) - 0.1]
    first, second = params["first"], params["second"]
    kernels = [{0: first["kernel"][:, :, one]} for one in range(first["bias"].size)]
    place = 0
    for stage, (bias, table) in enumerate([(first["bias"], None), (second["bias"], lenet.TABLES[number])]):
        if table is not None:
            kernels = []
            for seen in table:
                kernels.append({one: second["kernel"][:, :, place + at] for at, one in enumerate(seen)})
                place += len(seen)
        side = maps[0].shape[0] - 4
        above = [np.full((side, side), one) for one in bias]
        for one, seen in zip(above, kernels):
            for row in range(side):
                for column in range(side):
                    for below, kernel in seen.items():
                        one[row, column] += np.sum(maps[below][row : row + 5, column : column + 5] * kernel)
        found = params["subsampled"][str(stage)]
        repeats = found["bias"].size // len(above)
        maps = [
            squash(sum(squash(one)[i::2, j::2] for i in (0, 1) for j in (0, 1)) * coefficient + shift)
            for one, coefficient, shift in zip(
                (one for one in above for _ in range(repeats)), found["coefficient"], found["bias"]
            )
        ]
    units = np.stack(maps, -1).ravel()
    layers = [params["dense"][str(i)] for i in range(len(params["dense"]))]
    for layer in layers[: len(layers) - (number != 5)]:
        units = squash(units @ layer["kernel"] + layer["bias"])
    if number == 5:
        return [-np.sum((units - one) ** 2) for one in lenet.PROTOTYPES]
    return units @ layers[-1]["kernel"] + layers[-1]["bias"]


@pytest.mark.parametrize(
    "number", [pytest.param(1, marks=pytest.mark.beyond), pytest.param(4, marks=pytest.mark.beyond), 5]
)
def test_outputs_are_the_sums_written_out(number, rng):
    init, apply = functional(number)
    drawn = jax.eval_shape(init, jax.random.key(0))[0]
    params = jax.tree.map(lambda leaf: 0.2 * rng.standard_normal(leaf.shape), drawn)
    images = rng.random((1, 2, 28, 28))
    found = np.asarray(apply(jax.tree.map(np.float32, params), {}, np.float32(images))[0])
    assert found.shape == (1, 2, 10)
    expected = [outputs(number, params, image) for image in images[0]]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)


def test_the_drawings_are_digits_of_seven_by_twelve():
    assert lenet.PROTOTYPES.shape == (10, 84)
    assert set(lenet.PROTOTYPES.ravel()) == {-1.0, 1.0}
    # The nearest two differ in more than a few of the 84 pixels.
    differ = np.sum(lenet.PROTOTYPES[:, None] != lenet.PROTOTYPES, -1)
    assert differ[~np.eye(10, dtype=bool)].min() >= 5
    zero = lenet.PROTOTYPES[0].reshape(12, 7)
    np.testing.assert_array_equal(zero, zero[::-1, ::-1])


def test_kernels_start_within_the_bound_of_their_unit():
    layer = lenet._Sparse(lenet.TABLES[5], 6, nnx.Rngs(0), np.float32, None)
    kernel = np.asarray(layer.kernel[...])
    ends = np.cumsum([len(seen) for seen in lenet.TABLES[5]])
    for start, end in zip([0, *ends[:-1]], ends):
        bound = 2.4 / (25 * (end - start))
        assert 0.8 * bound < np.abs(kernel[..., start:end]).max() <= bound


def test_platforms_compute_the_same(rng):
    x, kernel = (np.float32(rng.standard_normal(shape)) for shape in ((2, 9, 8, 3), (5, 5, 3, 4)))
    found = lenet._of_bands(jnp.asarray(x), jnp.asarray(kernel), precision="highest")
    expected = convolution.convolve(x, kernel, padding="VALID", precision="highest")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_bad_input_is_refused(own_errors):
    for make in (lenet.make, lenet.counts):
        with pytest.raises(ValueError, match=r"^number is 3: take 1, 4 or 5$"):
            make(3)
    with pytest.raises(TypeError, match=r"^number is '5': take a whole number"):
        lenet.make("5")
    network = nnx.eval_shape(lambda: lenet.make(1)(nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"^x has images of 32 x 32 pixels: take 28 x 28 or fewer$"):
        network(np.zeros((1, 32, 32)))
    with pytest.raises(ValueError, match=r"^x has the shape \(28,\): take \(\.\.\., H, W\)"):
        network(np.zeros(28))
