"""The scikit-learn transformer: the same numbers as the function, and the manners of an estimator."""

import pickle

import jax
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from jaxtheory.harmonic import scattering2d, wavelets
from jaxtheory.harmonic.scattering_transformer import ScatteringTransformer

# scikit-learn's checks that bring no data of a width of their own, which are no images of one shape.
CHECKS = {
    "check_complex_data",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_dtype_object",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimator_tags_renamed",
    "check_estimators_empty_data_messages",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_fit2d_1sample",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_transformers_unfitted",
    "check_valid_tag_types",
}


def test_scikit_learns_checks(own_errors):
    passed = set()
    for estimator, check in estimator_checks.estimator_checks_generator(
        ScatteringTransformer(shape=(2, 5), J=1, L=2)
    ):
        name = check.func.__name__
        if name in CHECKS:
            check(estimator)
            passed.add(name)
    assert passed == CHECKS


def test_it_flattens_what_the_function_returns(rng):
    x = rng.standard_normal((3, 12, 17)).astype(np.float32)
    transformer = ScatteringTransformer(shape=(12, 17), J=2, L=3, order=1)
    s = transformer.fit_transform(x.reshape(3, -1))
    expected = scattering2d.scatter(scattering2d.filter_bank((12, 17), 2, 3, order=1), x)
    assert isinstance(s, np.ndarray)
    np.testing.assert_array_equal(s, np.asarray(expected).reshape(3, -1))
    np.testing.assert_allclose(transformer.set_params(chunk=2).transform(x.reshape(3, -1)), s, atol=1e-6)


def test_it_computes_in_the_precision_of_its_data(rng):
    x = rng.standard_normal((2, 64))
    transformer = ScatteringTransformer(shape=(8, 8), J=1, L=2).fit(np.float32(x))
    single, double = transformer.transform(np.float32(x)), transformer.transform(x)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    with jax.enable_x64(True):
        expected = scattering2d.scatter(scattering2d.filter_bank((8, 8), 1, 2), x.reshape(2, 8, 8))
    np.testing.assert_allclose(double, np.asarray(expected).reshape(2, -1), rtol=1e-12)
    np.testing.assert_allclose(single, double, atol=1e-5)


def test_its_features_are_named(rng):
    transformer = ScatteringTransformer(shape=(8, 12), J=2, L=2, boundary="periodic", wavelet=wavelets.spline)
    s = transformer.fit_transform(rng.standard_normal((2, 96)))
    names = transformer.get_feature_names_out()
    assert len(names) == len(set(names)) == s.shape[1] == 9 * 2 * 3
    expected = scattering2d.scatter(transformer.bank_, np.zeros((8, 12), np.float32))
    assert expected.size == len(names)
    assert names[[0, 6, 53]].tolist() == ["s0_y0_x0", "s1_j0_angle0_y0_x0", "s2_j0_1_angle1_1_y1_x2"]


@pytest.mark.beyond
def test_it_is_a_step_of_a_pipeline(rng):
    # Two textures of the same spectrum's mean: gratings along height and along width.
    phases = rng.uniform(0, 2 * np.pi, (40, 1, 1))
    u, v = np.mgrid[:16, :16]
    labels = np.arange(40) % 2
    images = np.sin(1.5 * np.where(labels[:, None, None], u, v) + phases).reshape(40, -1)
    pipeline = make_pipeline(ScatteringTransformer(shape=(16, 16), J=2), LogisticRegression())
    search = GridSearchCV(pipeline, {"scatteringtransformer__L": [2, 4]}, cv=2)
    search.fit(images[:30], labels[:30])
    assert search.score(images[30:], labels[30:]) == 1.0
    assert clone(pipeline).get_params()["scatteringtransformer__J"] == 2


def test_whole_numbers_are_converted(rng):
    x = rng.integers(0, 255, (2, 64), dtype=np.uint8)
    transformer = ScatteringTransformer(shape=(8, 8), J=1, L=2).fit(x)
    np.testing.assert_array_equal(transformer.transform(x), transformer.transform(x.astype(np.float32)))


def test_images_of_another_size_are_refused(own_errors):
    message = r"^X has 64 columns: take 8 \* 12 = 96, one for each pixel of images of shape \(8, 12\), as X\."
    with pytest.raises(ValueError, match=message):
        ScatteringTransformer(shape=(8, 12), J=2).fit(np.ones((2, 64)))


def test_it_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        ScatteringTransformer(shape=(8, 12), J=2).transform(np.ones((2, 96)))


def test_it_pickles_and_knows_its_columns(rng):
    x = rng.standard_normal((3, 96))
    transformer = ScatteringTransformer(shape=(8, 12), J=2, L=2).fit(x)
    expected = transformer.transform(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(transformer)).transform(x), expected)
    np.testing.assert_allclose(transformer.transform(x[1:2]), expected[1:2], atol=1e-6)
    assert transformer.n_features_in_ == 96
    with pytest.raises(ValueError, match="X has 95 features, but ScatteringTransformer is expecting 96"):
        transformer.transform(x[:, 1:])


def test_it_refuses_what_is_no_number():
    x = np.ones((2, 96))
    x[1, 3] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        ScatteringTransformer(shape=(8, 12), J=2).fit_transform(x)
