"""Error rates, and cross-validation against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from jaxtheory.statistics import affine, validation
from tests.statistics.samples import clouds


def test_every_example_is_held_out_once_and_counts_once(rng):
    seen = []
    target = rng.standard_normal(11)

    def losses(training, held):
        assert training.shape == (11,)
        assert held.shape == (4,)
        assert not np.asarray(training)[held].any()
        assert np.sum(~np.asarray(training)) == len(set(held.tolist()))
        seen.append(held.tolist())
        return target[held][:, None] * np.array([2.0, 1.0, np.nan])

    found = validation.cross_validate(losses, 11, jax.random.key(0), folds=3)
    parts = [list(dict.fromkeys(held)) for held in seen]
    assert sorted(map(len, parts)) == [3, 4, 4]
    dealt = [index for held in parts for index in held]
    assert sorted(dealt) == list(range(11))
    assert dealt != sorted(dealt)
    means = np.array([target[held].mean() for held in parts])
    np.testing.assert_allclose(found.errors[:, 1], means, rtol=1e-5)
    np.testing.assert_allclose(found.mean[:2], np.array([2, 1]) * target.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.standard_error[1], means.std(ddof=1) / np.sqrt(3), rtol=1e-5)
    assert found.best == np.argmin([2 * target.mean(), target.mean()])


def test_one_compiled_program_serves_all_folds():
    traces = []

    @jax.jit
    def losses(training, held):
        traces.append(held.shape)
        return held + jnp.sum(training)

    validation.cross_validate(losses, 10, jax.random.key(0), folds=3)
    assert traces == [(4,)]


@pytest.mark.beyond
def test_cross_validation_takes_arrays_of_choices_and_keys_at_once(rng, x64):
    target = rng.standard_normal(12)
    shrink = np.linspace(0, 1, 6).reshape(2, 3)

    def losses(training, held):
        mean = jnp.mean(jnp.asarray(target), where=training)
        return (jnp.asarray(target)[held, None, None] - shrink * mean) ** 2

    keys = jax.random.split(jax.random.key(0), 4)
    many = jax.vmap(lambda key: validation.cross_validate(losses, 12, key, folds=12).errors)(keys)
    assert many.shape == (4, 12, 2, 3)
    # With one example held out at a time the deal does not matter, and the others' mean is known.
    others = (target.sum() - target) / 11
    expected = ((target[:, None, None] - shrink * others[:, None, None]) ** 2).mean(0)
    np.testing.assert_allclose(many.mean(1), np.broadcast_to(expected, (4, 2, 3)), rtol=1e-12)
    one = validation.cross_validate(losses, 12, keys[0], folds=12)
    assert one.best == expected.argmin()


def test_cross_validation_finds_the_dimension(rng):
    basis = rng.standard_normal((2, 3, 20))
    labels = np.arange(120) % 2
    features = np.einsum("nk,nkp->np", rng.standard_normal((120, 3)), basis[labels])
    features = np.float32(features + 0.3 * rng.standard_normal((120, 20)))

    @jax.jit
    def losses(training, held):
        model = affine.fit(features, labels, classes=2, dimension=6, where=training)
        queries = jnp.asarray(features)[held]
        return jnp.argmin(affine.distances(model, queries), -1) != jnp.asarray(labels)[held, None]

    found = validation.cross_validate(losses, 120, jax.random.key(0), folds=7)
    assert found.errors.shape == (7, 7)
    assert found.mean[0] > 0.3
    assert found.mean[found.best] < 0.02
    assert found.best >= 3


def test_a_machine_of_scikit_learn_is_cross_validated_as_by_its_own_folds(rng):
    features, labels = clouds(rng, 50, 4)
    dealt = []

    def losses(training, held):
        mine = np.flatnonzero(training)
        dealt.append((mine, np.setdiff1d(np.arange(50), mine)))
        machine = KNeighborsClassifier(3).fit(features[mine], labels[mine])
        return machine.predict(features[held]) != labels[held]

    found = validation.cross_validate(losses, 50, jax.random.key(3), folds=4)
    theirs = 1 - cross_val_score(KNeighborsClassifier(3), features, labels, cv=dealt)
    np.testing.assert_allclose(found.errors, theirs, rtol=1e-6)


def test_error_rate_is_a_mean_over_the_last_axis(rng):
    labels, predicted = rng.integers(0, 3, 40), rng.integers(0, 3, (2, 5, 40))
    found = validation.error_rate(predicted, labels)
    np.testing.assert_allclose(found, (predicted != labels).mean(-1), rtol=1e-6)
