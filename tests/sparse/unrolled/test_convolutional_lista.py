"""Convolutional LISTA against ISTA with the dense dictionary that SciPy's convolutions make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import convolve
from scipy.signal import convolve as full_convolve

from jaxtheory.sparse.unrolled import convolutional_lista
from tests.sparse.unrolled import dense


def dictionary_of(filters, size, boundary):
    """A row for each map's each place, (places atoms, places channels)."""
    kernel = filters.shape[:-2]
    rows = []
    for place in np.ndindex(*size):
        for atom in range(filters.shape[-1]):
            delta = np.zeros(size)
            delta[place] = 1
            image = []
            for channel in range(filters.shape[-2]):
                one = filters[..., channel, atom]
                if boundary == "zero":
                    image.append(full_convolve(delta, one, mode="same", method="direct"))
                else:
                    image.append(
                        convolve(delta, one, mode="wrap", origin=[-1 if k % 2 == 0 else 0 for k in kernel])
                    )
            rows.append(np.stack(image, -1).ravel())
    return np.stack(rows)


@pytest.mark.parametrize(
    ("shape", "size", "boundary"),
    [((3, 2, 2, 3), (6, 5), "zero"), ((3, 3, 1, 2), (5, 6), "periodic"), ((5, 1, 3), (12,), "zero")],
)
@pytest.mark.parametrize("tied", [True, False])
def test_at_the_start_it_is_ista(shape, size, boundary, tied, rng, x64):
    filters = rng.standard_normal(shape)
    params = convolutional_lista.init(
        jax.random.key(0), filters, steps=4, penalty=0.5, tied=tied, boundary=boundary
    )
    dictionary = dictionary_of(filters, size, boundary)
    curvature = 0.5 / float(np.ravel(params.threshold)[0])
    largest = np.linalg.norm(dictionary, 2) ** 2
    assert largest <= curvature * (1 + 1e-12)
    assert boundary == "zero" or curvature < 1.4 * largest
    x = rng.standard_normal((2, *size, shape[-2]))
    expected = dense.ista(dictionary, x.reshape(2, -1), 0.5, 4, curvature)
    assert 0.05 < np.mean(expected == 0) < 0.95
    found = np.asarray(convolutional_lista.apply(params, x, iterates=True))
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-10, atol=1e-12)
    image = convolutional_lista.reconstruct(params, found[-1]).reshape(2, -1)
    np.testing.assert_allclose(image, expected[-1] @ dictionary, rtol=1e-10, atol=1e-12)


@pytest.mark.beyond
def test_encoder_decoder_and_dictionary_are_learned_apart():
    params = convolutional_lista.init(jax.random.key(0), (3, 3, 1, 4), steps=3, penalty=0.02)
    norms = jnp.sum(params.dictionary**2, axis=(0, 1, 2))
    np.testing.assert_allclose(norms, 1, rtol=1e-5)
    x = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))

    def loss(params, remat):
        codes = convolutional_lista.apply(params, x, remat=remat)
        return jnp.sum((convolutional_lista.reconstruct(params, codes) - x) ** 2)

    plain, kept = (jax.grad(loss)(params, remat) for remat in (False, True))
    assert len(jax.tree.leaves(plain)) == 4
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(kept)):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_errors(rng, own_errors):
    key = jax.random.key(0)
    filters = rng.standard_normal((3, 3, 2, 4))
    with pytest.raises(
        ValueError, match=r"filters is \(3, 3\): take \(height, width, channels, atoms\) or \(length,"
    ):
        convolutional_lista.init(key, (3, 3), steps=1, penalty=1.0)
    with pytest.raises(ValueError, match="boundary is 'mirror': take 'periodic' or 'zero'"):
        convolutional_lista.init(key, filters, steps=1, penalty=1.0, boundary="mirror")
    with pytest.raises(ValueError, match="steps is 0: take a whole number at least 1"):
        convolutional_lista.init(key, filters, steps=0, penalty=1.0)
    with pytest.raises(ValueError, match=r"penalty is -1\.0: take a positive number"):
        convolutional_lista.init(key, filters, steps=1, penalty=-1.0)
    params = convolutional_lista.init(key, filters, steps=1, penalty=1.0)
    with pytest.raises(ValueError, match=r"x has the shape \(8, 8, 3\): take \(\.\.\., height, width, 2\)"):
        convolutional_lista.apply(params, np.ones((8, 8, 3)))


def test_filters_of_zeros_have_codes_of_zero_and_empty_batches_are_empty(rng):
    filters = np.zeros((3, 3, 1, 2), np.float32)
    params = convolutional_lista.init(jax.random.key(0), filters, steps=3, penalty=0.1)
    x = np.float32(rng.standard_normal((2, 8, 8, 1)))
    np.testing.assert_array_equal(convolutional_lista.apply(params, x), np.zeros((2, 8, 8, 2)))
    assert convolutional_lista.apply(params, x[:0]).shape == (0, 8, 8, 2)
