"""Products with Hessians against dense matrices in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.landscape import curvature
from jaxtheory.landscape.curvature import operators
from tests.landscape.curvature import models


@pytest.fixture
def problem(x64, rng):
    return models.params(rng), models.data(rng)


def test_products_with_a_hessian_over_unequal_batches(problem, rng):
    params, data = problem
    expected = models.hessian(models.loss, params, data)
    operator = curvature.hessian(models.loss, params, models.cut(data, 4, 8))
    assert operator.dimension == len(expected)
    several = jax.tree.map(lambda leaf: rng.standard_normal((3, *leaf.shape)), params)
    rows = np.asarray(operator.flat(several))
    found = operator.flat(operator.matvec(several))
    for product, row in zip(found, rows):
        want = expected @ row
        assert np.linalg.norm(product - want) <= 1e-10 * np.linalg.norm(want)
    one = operator.matvec(jax.tree.map(lambda leaf: leaf[0], several))
    assert jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, params)
    models.close(operator.flat(jax.tree.map(lambda leaf: leaf[None], one))[0], expected @ rows[0])
    values = np.linalg.eigvalsh(expected)
    assert np.abs(np.linalg.eigvalsh(operator.dense()) - values).max() <= 1e-8 * values[-1]


@pytest.mark.beyond
def test_all_ways_to_give_batches_agree(problem):
    params, (x, labels) = problem
    x, labels = x[:10], labels[:10]
    stacked = curvature.hessian(models.loss, params, (x.reshape(2, 5, -1), labels.reshape(2, 5)))
    for batches in (
        [(x, labels)],
        models.cut((x, labels), 3, 4),
        curvature.in_batches((x, labels), 4),
    ):
        models.close(curvature.hessian(models.loss, params, batches).dense(), stacked.dense())


def test_finite_differences_come_close(problem):
    params, data = problem
    expected = models.hessian(models.loss, params, data)
    operators = [
        curvature.hessian(models.loss, params, [data], method="finite_differences", step=step)
        for step in (None, 0.06, 0.03)
    ]
    far = [np.linalg.norm(one.dense() - expected) for one in operators]
    assert far[0] < 1e-7 * np.linalg.norm(expected)
    # The error of central differences is of second order in the step.
    assert far[1] / far[2] == pytest.approx(4, rel=0.02)
    zero = jax.tree.map(jnp.zeros_like, params)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(operators[0].matvec(zero)))


def test_a_loss_that_draws_draws_the_same_in_every_product(problem):
    params, data = problem
    key, loss, batches = jax.random.key(3), models.noisy(models.loss), models.cut(data, 6)
    operator = curvature.hessian(loss, params, batches, key=key)
    expected = sum(
        len(batch[1])
        / models.EXAMPLES
        * models.hessian(models.with_its_key(loss, key, number), params, batch)
        for number, batch in enumerate(batches)
    )
    models.close(operator.dense(), expected)


def test_what_is_kept_gives_the_same_products(problem):
    params, data = problem
    batches = models.cut(data, 6)
    anew = curvature.hessian(models.loss, params, batches)
    size = curvature.residual_bytes(anew)
    for keep, is_kept in ((True, True), (size, True), (size - 1, False), (False, False)):
        operator = curvature.hessian(models.loss, params, batches, keep=keep)
        assert hasattr(operator, "linear") is is_kept
    kept = curvature.hessian(models.loss, params, batches, keep=True)
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(kept.linear)) == size
    models.close(kept.dense(), anew.dense(), 1e-14)


def test_large_vectors_are_taken_one_after_the_other(problem, monkeypatch):
    params, data = problem
    monkeypatch.setattr(operators, "LARGE", 1)

    def loss(params, batch):
        return models.loss(params, batch)

    expected = models.hessian(models.loss, params, data)
    for keep in (False, True):
        operator = curvature.hessian(loss, params, [data], keep=keep)
        models.close(operator.dense(), expected)
        several = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), params)
        assert "scan" in str(jax.make_jaxpr(operator.apply_many)(several))


@pytest.mark.beyond
def test_what_is_kept_is_restricted(problem):
    params, data = problem
    anew, kept = (curvature.hessian(models.loss, params, [data], keep=keep) for keep in (False, True))
    part = {"first": True, "second": False}
    models.close(kept.restricted(part).dense(), anew.restricted(part).dense(), 1e-14)


@pytest.mark.beyond
def test_programs_are_compiled_once_for_all_parameters(rng):
    traced = []

    def loss(params, batch):
        traced.append(1)
        return models.loss(params, batch)

    for keep in (False, True):
        counts = []
        for _ in range(3):
            params, data = models.params(rng), models.data(rng)
            operator = curvature.hessian(loss, params, models.cut(data, 6), keep=keep)
            operator.matvec(params)
            operator.matvec(jax.tree.map(lambda leaf: leaf[None], params))
            counts.append(len(traced))
        assert counts[0] > 0
        assert counts[1:] == counts[:1] * 2


def test_half_precision_is_summed_in_single():
    batches = jnp.ones((1000, 1), jnp.bfloat16)
    operator = curvature.hessian(
        lambda params, batch: jnp.mean(batch) * params**2 / 2, jnp.ones((), jnp.bfloat16), batches
    )
    product = operator.matvec(1.0)
    # In half precision, a sum of thousandths ends where they no longer count.
    assert product.dtype == jnp.bfloat16
    assert float(product) == 1.0
