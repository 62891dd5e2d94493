"""Norms, coherences and sparsity against dense matrices and NumPy's windows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse import multilayer
from tests.sparse.convolutional import dense
from tests.sparse.multilayer.models import CASES, made, matrices


def test_figures_of_sparsity_are_counts_over_the_dense_matrices(rng):
    shapes, strides = ((7, 1, 4), (3, 4, 3)), (4, 1)
    filters = [np.float32(rng.standard_normal(shape)) for shape in shapes]
    kept = [rng.random((5, 12, shape[-1])) < 0.1 for shape in shapes]
    codes = [np.float32(rng.standard_normal(some.shape) * some) for some in kept]
    for boundary, padding in (("periodic", "wrap"), ("zero", "constant")):
        found = multilayer.sparsity(filters, codes, strides=strides, boundary=boundary)
        for i, z in enumerate(codes):
            flat, width = z.reshape(5, -1), (48, 12)[i]
            support = dense.dictionary(np.ones(shapes[i]), (width,), "periodic", strides[i])
            if boundary == "zero":
                # Where atoms reach over the border, they still count as meeting.
                support = dense.dictionary(np.ones(shapes[i]), (2 * width,), "zero", strides[i])
                support = support[:, support.shape[1] // 4 : 3 * support.shape[1] // 4]
            meets = support.T @ support > 0
            np.testing.assert_array_equal(found.stripes[:, i], (1 * (flat != 0) @ meets).max(-1))
            np.testing.assert_allclose(found.largest[:, i], np.abs(flat).max(-1), rtol=1e-6)
            smallest = np.where(flat != 0, np.abs(flat), np.inf).min(-1)
            np.testing.assert_allclose(found.smallest[:, i], smallest, rtol=1e-6)
            counts = np.pad((z != 0).sum(-1), ((0, 0), (2, 2)), mode=padding)
            windows = np.lib.stride_tricks.sliding_window_view(counts, 3, axis=-1).sum(-1)
            np.testing.assert_array_equal(found.patches[:, i], windows.max(-1))


def test_patch_norms_are_those_of_the_largest_window(rng):
    x = np.float32(rng.standard_normal((4, 7, 6, 2)))
    for boundary, mode in (("periodic", "wrap"), ("zero", "constant")):
        padded = np.pad(x, ((0, 0), (2, 2), (1, 1), (0, 0)), mode=mode)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), axis=(1, 2))
        expected = np.sqrt((windows**2).sum((3, 4, 5))).max((1, 2))
        np.testing.assert_allclose(multilayer.patch_norm(x, (3, 2), boundary=boundary), expected, rtol=1e-5)
    zero = jax.grad(lambda x: multilayer.patch_norm(x, (2,)))(jnp.zeros((4, 1)))
    np.testing.assert_array_equal(zero, 0)


@pytest.mark.parametrize("name", CASES)
def test_coherences_and_norms_are_those_of_the_dense_matrices(name, x64, rng):
    filters, size, strides = made(rng, name)
    filters = [d / np.linalg.norm(d.reshape(-1, d.shape[-1]), axis=0) for d in filters]
    size = [2 * n for n in size]
    chain = matrices(filters, size, strides, "periodic")
    grams = [matrix.T @ matrix for matrix in chain]
    expected = [np.abs(gram - np.diag(np.diag(gram))).max() for gram in grams]
    np.testing.assert_allclose(multilayer.coherences(filters, strides=strides), expected, atol=1e-12)
    norms = [np.linalg.norm(matrix, 2) ** 2 for matrix in chain]
    np.testing.assert_allclose(multilayer.squared_norms(filters, size, strides=strides), norms, rtol=1e-10)
    cut = [np.linalg.norm(m, 2) ** 2 for m in matrices(filters, size, strides, "zero")]
    bounds = multilayer.squared_norms(filters, size, strides=strides, boundary="zero")
    assert np.all(bounds >= np.array(cut) * (1 - 1e-12))
    assert np.all(bounds <= 1.5 * np.array(cut))
