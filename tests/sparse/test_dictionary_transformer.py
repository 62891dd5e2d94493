"""The scikit-learn transformer: scikit-learn's own checks and objective."""

import jax
import numpy as np
import pytest
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from jaxtheory.sparse.dictionary_learning import online, sample_atoms
from jaxtheory.sparse.dictionary_transformer import DictionaryTransformer

# Those that say the most for the time that they take: each compiles for shapes of its own.
QUICK = {
    "check_complex_data",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_sparse_tag",
    "check_estimators_empty_data_messages",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_transformers_unfitted",
    "check_valid_tag_types",
}
SLOW = {
    "check_dont_overwrite_parameters",
    "check_estimators_nan_inf",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_transformer_general",
    "check_transformer_preserve_dtypes",
}


@pytest.mark.parametrize(
    "chosen", [QUICK, pytest.param(SLOW, marks=pytest.mark.beyond)], ids=["quick", "slow"]
)
def test_scikit_learns_checks(chosen, own_errors):
    passed = set()
    for estimator, check in estimator_checks.estimator_checks_generator(DictionaryTransformer(steps=2)):
        name = check.func.__name__
        if name in chosen:
            check(estimator)
            passed.add(name)
    assert passed == chosen


# One shape for what follows: the programs are compiled once.
SHAPE = (150, 6)
OPTIONS = {"atoms": 9, "penalty": 0.7, "steps": 40, "batch": 50, "random_state": 0}


@pytest.mark.beyond
def test_codes_are_those_of_scikit_learn_and_come_back_as_signals(rng):
    x = rng.laplace(size=SHAPE)
    transformer = DictionaryTransformer(**OPTIONS).fit(x)
    codes = transformer.transform(x)
    assert codes.dtype == x.dtype
    expected = sparse_encode(x, transformer.components_, algorithm="lasso_cd", alpha=0.7, max_iter=10_000)
    np.testing.assert_allclose(codes, expected, atol=5e-3)
    np.testing.assert_allclose(transformer.inverse_transform(codes), codes @ transformer.components_)
    assert transformer.objective_.shape == (40,)
    assert transformer.objective_[-10:].mean() < transformer.objective_[0]
    assert transformer.get_feature_names_out()[[0, -1]].tolist() == [
        "dictionarytransformer0",
        "dictionarytransformer8",
    ]


@pytest.mark.beyond
def test_partial_fit_takes_the_steps_of_the_learner(rng):
    x = np.float32(rng.laplace(size=(120, 5)))
    transformer = DictionaryTransformer(atoms=7, penalty=0.4, forgetting=1.0, random_state=3)
    for part in np.split(x, 3):
        transformer.partial_fit(part)
    learner = online(0.4, forgetting=1.0)
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max)
    state = learner.init(sample_atoms(jax.random.split(jax.random.key(seed))[0], x[:40], 7))
    objective = []
    for part in np.split(x, 3):
        state, metrics = learner.step(state, part)
        objective.append(metrics["objective"])
    np.testing.assert_array_equal(transformer.components_, state.dictionary)
    np.testing.assert_array_equal(transformer.objective_, np.float32(objective))
    assert transformer.state_.step == 3
    assert transformer.components_.dtype == np.float32
    with pytest.raises(ValueError, match="expecting 5 features"):
        transformer.partial_fit(x[:, :4])


@pytest.mark.beyond
def test_zeros_have_codes_of_zero():
    x = np.zeros(SHAPE)
    transformer = DictionaryTransformer(**OPTIONS).fit(x)
    assert not np.any(transformer.components_)
    assert not np.any(transformer.objective_)
    assert not np.any(transformer.transform(x))


@pytest.mark.beyond
def test_it_is_a_step_of_a_pipeline(rng):
    # Two classes that differ in the atoms they are made of, and not in their mean.
    labels = np.arange(200) % 2
    x = np.zeros((200, 8))
    x[np.arange(200), 4 * labels + rng.integers(4, size=200)] = 3 * rng.choice([-1, 1], 200)
    x += 0.1 * rng.standard_normal(x.shape)
    transformer = DictionaryTransformer(atoms=24, penalty=0.5, steps=100, nonnegative=True, random_state=1)
    pipeline = make_pipeline(transformer, LogisticRegression()).fit(x[:150], labels[:150])
    assert pipeline.score(x[150:], labels[150:]) > 0.9
    assert LogisticRegression().fit(x[:150], labels[:150]).score(x[150:], labels[150:]) < 0.75
    assert pipeline[0].transform(x).min() >= 0


def test_more_atoms_than_signals_are_refused(own_errors):
    with pytest.raises(ValueError, match="atoms is 9: take a whole number from 1 to 5"):
        DictionaryTransformer(atoms=9).fit(np.ones((5, 3)))


def test_it_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        DictionaryTransformer().transform(np.ones((2, 3)))
