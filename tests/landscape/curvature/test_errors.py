"""Losses, outputs and options that cannot be taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.landscape import curvature
from tests.landscape.curvature import models

PARAMS = {"w": np.ones(3, np.float32)}
BATCHES = [np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)]


def square(params, batch):
    return jnp.mean((batch @ params["w"]) ** 2)


def linear(params, x):
    return x @ params["w"]


def scaled(params, x):
    return x * params["w"]


def total(z, _):
    return jnp.sum(z)


def squares(params, batch):
    return (batch @ params["w"]) ** 2


def test_a_loss_that_is_no_scalar():
    with pytest.raises(
        ValueError, match=r"loss gives an array of shape \(2,\): take a function that gives one number"
    ):
        curvature.hessian(squares, PARAMS, BATCHES)
    with pytest.raises(TypeError, match="loss gives a tuple: take a function that gives one number"):
        curvature.hessian(lambda params, batch: (batch, params), PARAMS, BATCHES)
    with pytest.raises(TypeError, match="loss gives int32: take a function that gives one number"):
        curvature.hessian(lambda params, batch: batch.shape[0] + jnp.int32(params["w"][0]), PARAMS, BATCHES)
    with pytest.raises(
        ValueError, match=r"loss gives an array of shape \(2,\): .* one number, as the mean over"
    ):
        curvature.gauss_newton(linear, lambda z, _: z, PARAMS, [(np.ones((2, 3)), None)])
    with pytest.raises(
        ValueError, match=r"loss gives an array of shape \(\): .* one number for each of the 2 exampl"
    ):
        curvature.gradient_covariance(square, PARAMS, BATCHES)


def test_parameters_that_cannot_be_differentiated():
    with pytest.raises(
        TypeError, match=r"params\['w'\] is int\d+: take real floating-point parameters, or hold it"
    ):
        curvature.hessian(square, {"w": np.arange(3)}, BATCHES)
    with pytest.raises(TypeError, match=r"params\['w'\] is complex\d+: take real floating-point"):
        curvature.hessian(square, {"w": np.ones(3) * 1j}, BATCHES)
    with pytest.raises(TypeError, match=r"params\['f'\] is .*: take an array of numbers"):
        curvature.hessian(square, {"w": np.ones(3), "f": jnp.tanh}, BATCHES)
    with pytest.raises(ValueError, match="params hold no array: take at least one parameter"):
        curvature.hessian(square, {}, BATCHES)


def test_a_key_that_is_missing_or_not_taken(own_errors):
    with pytest.raises(
        TypeError, match=r"loss takes a random key beside \(params, batch\), and none is given"
    ):
        curvature.hessian(models.noisy(square), PARAMS, BATCHES)
    with pytest.raises(TypeError, match="loss takes a random key beside"):
        curvature.gradient_covariance(models.noisy(squares), PARAMS, BATCHES)
    with pytest.raises(TypeError, match=r"loss takes no random key beside \(params, batch\): leave key out"):
        curvature.hessian(square, PARAMS, BATCHES, key=jax.random.key(0))
    with pytest.raises(TypeError, match="key is 0: take one random key"):
        curvature.hessian(models.noisy(square), PARAMS, BATCHES, key=0)
    pairs = [(np.ones((2, 3)), None)]
    with pytest.raises(TypeError, match="kind 'monte_carlo' draws targets, and no key is given: give key="):
        curvature.fisher(scaled, PARAMS, pairs, kind="monte_carlo")
    with pytest.raises(
        ValueError, match="samples and key are of use where kind is 'monte_carlo', and it is 'exact'"
    ):
        curvature.fisher(scaled, PARAMS, pairs, key=jax.random.key(0))


def test_a_loss_that_is_not_finite_is_named_with_its_batch():
    bad = [np.ones((2, 3)), np.ones((2, 3)), np.full((1, 3), np.nan)]
    for operator, function in ((curvature.hessian, square), (curvature.gradient_covariance, squares)):
        with pytest.raises(
            ValueError, match="loss is nan in batch 2: take data and parameters where it is finite"
        ):
            operator(function, PARAMS, bad)
    with pytest.raises(ValueError, match="loss is inf in batch 0: take data and parameters"):
        curvature.hessian(square, {"w": np.full(3, 1e30, np.float32)}, bad)
    pairs = [(one, None) for one in bad]
    with pytest.raises(ValueError, match="loss is nan in batch 2"):
        curvature.gauss_newton(linear, total, PARAMS, pairs)
    with pytest.raises(ValueError, match="the sum of outputs is nan in batch 2"):
        curvature.fisher(linear, PARAMS, pairs, distribution="normal")


def test_under_jit_a_loss_that_is_not_finite_gives_no_number():
    @jax.jit
    def product(x):
        return curvature.hessian(square, PARAMS, x).matvec(PARAMS)

    assert np.isnan(product(np.full((1, 2, 3), np.nan))["w"]).all()


def test_outputs_and_targets_that_do_not_fit():
    pairs = [(np.ones((2, 3)), np.zeros(2, int))]
    with pytest.raises(
        ValueError, match=r"outputs give the shape \(2,\) for 2 examples: take \(examples, ..., cl"
    ):
        curvature.fisher(linear, PARAMS, pairs)
    with pytest.raises(
        ValueError, match=r"outputs give the shape \(\) for 2 examples: take \(examples, ...\)"
    ):
        curvature.fisher(lambda params, x: jnp.sum(linear(params, x)), PARAMS, pairs, distribution="normal")
    with pytest.raises(TypeError, match="outputs give a tuple: take one array with a row for each example"):
        curvature.fisher(lambda params, x: (params, x), PARAMS, pairs)
    with pytest.raises(
        ValueError, match=r"targets have the shape \(2,\) with outputs of \(2, 3\): take \(2, 3\)"
    ):
        curvature.fisher(scaled, PARAMS, pairs, kind="empirical", distribution="normal")
    with pytest.raises(
        ValueError, match=r"targets have the shape None with outputs of \(2, 3\): take \(2,\)"
    ):
        curvature.fisher(scaled, PARAMS, [(np.ones((2, 3)), None)], kind="empirical")
    for batches in ([np.ones((2, 3))], [(np.ones(2), np.ones(2), np.ones(2))]):
        with pytest.raises(ValueError, match=r"batches are of the type .*: take pairs \(x, target\)"):
            curvature.gauss_newton(linear, total, PARAMS, batches)


def test_options_that_do_not_go_together(own_errors):
    with pytest.raises(
        ValueError, match="method is 'exact': take 'forward_over_reverse' or 'finite_differences'"
    ):
        curvature.hessian(square, PARAMS, BATCHES, method="exact")
    with pytest.raises(ValueError, match="keep is of no use with finite differences, which keep nothing"):
        curvature.hessian(square, PARAMS, BATCHES, method="finite_differences", keep=True)
    with pytest.raises(ValueError, match=r"step is 0.1: take method='finite_differences' with it"):
        curvature.hessian(square, PARAMS, BATCHES, step=0.1)
    with pytest.raises(ValueError, match=r"step is -0.1: take a positive number"):
        curvature.hessian(square, PARAMS, BATCHES, method="finite_differences", step=-0.1)
    with pytest.raises(TypeError, match=r"keep is 0.5: take a whole number at least 0"):
        curvature.hessian(square, PARAMS, BATCHES, keep=0.5)
    with pytest.raises(
        ValueError, match="distribution is 'gamma': take 'categorical', 'bernoulli', 'normal' or 'p"
    ):
        curvature.fisher(scaled, PARAMS, BATCHES, distribution="gamma")
    with pytest.raises(ValueError, match="kind is 'true': take 'exact', 'monte_carlo' or 'empirical'"):
        curvature.fisher(scaled, PARAMS, BATCHES, kind="true")
    with pytest.raises(TypeError, match="centered is 1: take True or False"):
        curvature.gradient_covariance(squares, PARAMS, BATCHES, centered=1)
