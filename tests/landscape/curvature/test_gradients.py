"""The covariance of gradients against NumPy's."""

import jax
import numpy as np
import pytest

from jaxtheory.landscape import curvature
from tests.landscape.curvature import models


@pytest.mark.parametrize("keep", [False, pytest.param(True, marks=pytest.mark.beyond)])
def test_covariance_and_second_moment_of_gradients(x64, rng, keep):
    params, data = models.params(rng), models.data(rng)
    slopes = models.jacobian(models.losses, params, data)
    batches = models.cut(data, 4, 8)
    centered = curvature.gradient_covariance(models.losses, params, batches, keep=keep)
    models.close(centered.dense(), np.cov(slopes.T, bias=True))
    moment = curvature.gradient_covariance(models.losses, params, batches, centered=False, keep=keep)
    models.close(moment.dense(), slopes.T @ slopes / len(slopes))
    part = {"first": {"kernel": True, "bias": False}, "second": False}
    block = centered.restricted(part)
    models.close(block.dense(), np.cov(slopes[:, 4:16].T, bias=True))


@pytest.mark.beyond
def test_losses_that_draw(x64, rng):
    params, data = models.params(rng), models.data(rng)
    key, losses = jax.random.key(0), models.noisy(models.losses)
    slopes = [
        models.jacobian(models.with_its_key(losses, key, number), params, batch)
        for number, batch in enumerate(models.cut(data, 6))
    ]
    operator = curvature.gradient_covariance(losses, params, models.cut(data, 6), key=key)
    models.close(operator.dense(), np.cov(np.concatenate(slopes).T, bias=True))
