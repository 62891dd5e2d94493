"""Samples of the model."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxtheory.sparse import multilayer
from tests.sparse.multilayer.models import matrices


@pytest.mark.beyond
def test_samples_have_their_entries_and_are_the_filters_images(x64):
    filters = multilayer.init(jax.random.key(0), [(3, 2), 2], (3, 4), channels=2)
    draw = partial(
        multilayer.sample, filters=filters, shape=(8, 6), sparsity=5, smallest=1.0, largest=1.3,
        strides=(2, 1),
    )  # fmt: skip
    x, first, deepest = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), 200))
    assert (x.shape, first.shape, deepest.shape) == ((200, 8, 6, 2), (200, 4, 3, 3), (200, 4, 3, 4))
    chain = matrices(filters, (8, 6), (2, 1), "periodic")
    np.testing.assert_allclose(
        x.reshape(200, -1), deepest.reshape(200, -1) @ (chain[0] @ chain[1]).T, atol=1e-12
    )
    values = np.asarray(deepest)[np.asarray(deepest) != 0]
    assert values.size == 1000
    size = np.abs(values)
    assert 1 <= size.min() < 1.01
    assert 1.29 < size.max() <= 1.3
    # Signs are fair and places uniform, to five standard errors.
    assert abs((values > 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)
    counts = (np.asarray(deepest) != 0).sum(0).ravel()
    expected = 1000 / 48
    assert np.sum((counts - expected) ** 2 / expected) < 47 + 5 * np.sqrt(2 * 47)
    positive = draw(jax.random.key(2), nonnegative=True)[-1]
    assert np.all(positive >= 0)
    for one in filters:
        np.testing.assert_allclose(np.sum(np.square(one), (0, 1, 2)), 1)
