"""Convolutional dictionaries against their dense matrices in double precision, SciPy and Flax."""

import re

import flax.nnx
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from scipy import signal

from jaxtheory.sparse import convolutional
from tests.sparse.convolutional import dense

BOUNDARIES = ("periodic", "zero")
DOMAINS = ("spatial", "fourier")


@pytest.mark.parametrize(("name", "boundary", "domain"), dense.grid(BOUNDARIES, DOMAINS))
def test_the_dictionary_is_its_dense_matrix(name, boundary, domain, x64, rng):
    filters_shape, shape = dense.CASES[name]
    filters = rng.standard_normal(filters_shape)
    matrix = dense.dictionary(filters, shape, boundary)
    z = rng.standard_normal((*shape, filters_shape[-1]))
    x = rng.standard_normal((*shape, filters_shape[-2]))
    options = {"boundary": boundary, "domain": domain}
    np.testing.assert_allclose(
        np.ravel(convolutional.synthesize(filters, z, **options)), matrix @ z.ravel(), atol=1e-12
    )
    np.testing.assert_allclose(
        np.ravel(convolutional.analyze(filters, x, **options)), matrix.T @ x.ravel(), atol=1e-12
    )


@pytest.mark.parametrize("domain", DOMAINS)
def test_synthesis_is_a_convolution_and_analysis_a_layer(domain, rng):
    filters = np.float32(rng.standard_normal((5, 3, 2, 4)))
    z, x = np.float32(rng.standard_normal((70, 9, 4))), np.float32(rng.standard_normal((70, 9, 2)))
    expected = [
        sum(signal.convolve(z[..., k], filters[:, :, c, k], mode="same") for k in range(4)) for c in range(2)
    ]
    found = convolutional.synthesize(filters, z, boundary="zero", domain=domain)
    np.testing.assert_allclose(found, np.moveaxis(expected, 0, -1), atol=2e-5)
    for boundary, padding in (("periodic", "CIRCULAR"), ("zero", "SAME")):
        layer = flax.nnx.Conv(
            2, 4, (5, 3), padding=padding, use_bias=False, precision="highest", rngs=flax.nnx.Rngs(0)
        )
        layer.kernel.set_value(jnp.asarray(filters))
        found = convolutional.analyze(filters, x, boundary=boundary, domain=domain)
        np.testing.assert_allclose(found, layer(x[None])[0], atol=2e-5)


NUMBERS = st.integers(-80, 80).map(lambda n: n / 8)
"""Values whose products are no subnormal numbers, which XLA takes for zero."""


@pytest.mark.beyond
@given(st.data())
def test_analysis_is_the_adjoint_of_synthesis(data):
    space = data.draw(st.integers(1, 2))
    kernel = data.draw(st.lists(st.integers(1, 3), min_size=space, max_size=space))
    shape = data.draw(st.lists(st.integers(3, 5), min_size=space, max_size=space))
    channels, atoms = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3))
    filters, x, z = (
        data.draw(arrays.arrays(np.float32, one, elements=NUMBERS))
        for one in ((*kernel, channels, atoms), (*shape, channels), (*shape, atoms))
    )
    options = {
        "boundary": data.draw(st.sampled_from(BOUNDARIES)),
        "domain": data.draw(st.sampled_from(DOMAINS)),
    }
    one = np.vdot(np.float64(convolutional.synthesize(filters, z, **options)), x)
    other = np.vdot(z, np.float64(convolutional.analyze(filters, x, **options)))
    scale = np.linalg.norm(filters) * np.linalg.norm(x) * np.linalg.norm(z)
    assert abs(one - other) <= 1e-5 * scale


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_atoms_have_unit_norm_at_any_scale_and_those_of_zeros_stay(scale, rng):
    filters = np.float32(scale * rng.standard_normal((3, 2, 1, 2)))
    filters[..., 1] = 0
    found = convolutional.normalize(filters)
    np.testing.assert_allclose(
        found[..., 0], filters[..., 0] / np.linalg.norm(np.float64(filters)), rtol=1e-6
    )
    np.testing.assert_array_equal(found[..., 1], 0)


def test_what_numpy_converts_is_taken(own_errors, rng):
    filters, x = rng.integers(-3, 4, (2, 1, 2)), rng.integers(-3, 4, (5, 1))
    expected = dense.dictionary(filters, (5,), "periodic").T @ x.ravel()
    for pair in (
        (filters.tolist(), x.tolist()),
        (filters.astype(">f4"), x.astype(">f8")),
        (filters.astype(np.int16), x.astype(bool) * x),
    ):
        found = convolutional.analyze(*pair)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(np.ravel(found), expected)


def test_an_empty_batch_gives_an_empty_result():
    filters = np.ones((2, 2, 1, 3), np.float32)
    assert convolutional.analyze(filters, np.ones((0, 4, 5, 1), np.float32)).shape == (0, 4, 5, 3)
    assert convolutional.synthesize(filters, np.ones((2, 0, 4, 5, 3), np.float32)).shape == (2, 0, 4, 5, 1)


FILTERS, IMAGE = np.ones((2, 2, 1, 3), np.float32), np.ones((4, 4, 1), np.float32)
BAD = {
    "no filters": ((np.ones((2, 2), np.float32), IMAGE), {}, ValueError, "(2, 2): take (height, width, chan"),
    "empty filters": (
        (FILTERS[:0], IMAGE),
        {},
        ValueError,
        "filters has the shape (0, 2, 1, 3): take no empty",
    ),
    "channels": (
        (FILTERS, np.ones((4, 4, 2), np.float32)),
        {},
        ValueError,
        "images has the shape (4, 4, 2): take (..., height, width, 1) for (..., height, width, channels)",
    ),
    "empty": ((FILTERS, np.ones((0, 4, 1), np.float32)), {}, ValueError, "take no empty axes but leading"),
    "too large": ((np.ones((5, 2, 1, 3), np.float32), IMAGE), {}, ValueError, "take smaller filters"),
    "boundary": ((FILTERS, IMAGE), {"boundary": "same"}, ValueError, "'same': take 'periodic' or 'zero'"),
    "domain": ((FILTERS, IMAGE), {"domain": "time"}, ValueError, "take 'auto', 'spatial' or 'fourier'"),
    "complex": ((FILTERS, IMAGE + 1j), {}, TypeError, "images is complex"),
    "words": ((FILTERS, "image"), {}, TypeError, "images is 'image' (str): take an array of numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    args, options, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        convolutional.analyze(*args, **options)


def test_codes_of_another_number_of_atoms_are_refused(own_errors):
    with pytest.raises(
        ValueError, match=re.escape("codes has the shape (4, 4, 1): take (..., height, width, 3)")
    ):
        convolutional.synthesize(FILTERS, IMAGE)
