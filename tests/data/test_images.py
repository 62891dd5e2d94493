"""Photographs and textures against the libraries that carry them; patches against scikit-learn's."""

import importlib.metadata
import re
import sys

import jax
import numpy as np
import pytest
import pywt.data
import skimage.data
import skimage.io
from scipy import stats
from skimage.color import rgb2gray
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from jaxtheory.data import images
from jaxtheory.data.errors import DataError, MissingDataError


def original(name: str) -> np.ndarray:
    """The pixels, by the public function of the library."""
    origin = images.ORIGINS[name]
    if origin.library == "scikit-learn":
        samples = load_sample_images()
        return samples.images[[path.rpartition("/")[2] for path in samples.filenames].index(origin.file)]
    return getattr(skimage.data if origin.library == "scikit-image" else pywt.data, name)()


@pytest.mark.parametrize("name", images.names())
def test_an_image_has_the_pixels_of_its_library_divided_by_255(name):
    image, pixels = images.load(name), original(name)
    assert image.dtype == np.float32
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(image, pixels / 255, rtol=0, atol=1e-7)
    assert min(image.shape[:2]) >= 300
    assert image.std() > 0.05


@pytest.mark.parametrize("name", images.names())
def test_gray_is_the_luma_of_bt_709(name):
    gray, pixels = images.load(name, gray=True), original(name)
    assert gray.dtype == np.float32
    assert gray.shape == pixels.shape[:2]
    assert gray.min() >= 0
    assert gray.max() <= 1
    # rgb2gray rounds the same primaries to 0.2125, 0.7154 and 0.0721.
    np.testing.assert_allclose(
        gray, rgb2gray(pixels) if pixels.ndim == 3 else pixels / 255, rtol=0, atol=3e-4
    )


def test_white_stays_white_and_each_color_has_its_weight(monkeypatch):
    colors = np.uint8([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]])
    monkeypatch.setattr(skimage.io, "imread", lambda _: colors)
    # The luminance of the primaries of BT.709, as color science has it: from their chromaticities.
    x, y = np.array([[0.64, 0.3, 0.15], [0.33, 0.6, 0.06]])
    white = np.array([0.3127 / 0.329, 1, (1 - 0.3127 - 0.329) / 0.329])
    red, green, blue = np.linalg.solve(np.array([x / y, np.ones(3), (1 - x - y) / y]), white)
    gray = images.load("astronaut", gray=True)
    np.testing.assert_allclose(gray, [[1, red, green, blue, 0]], rtol=0, atol=1e-4)
    assert gray[0, 0] == 1


def test_every_image_of_scikit_image_is_inside_its_wheel():
    inside = {str(path) for path in importlib.metadata.files("scikit-image")}
    files = [origin.file for origin in images.ORIGINS.values() if origin.library == "scikit-image"]
    assert len(files) == 11
    assert {f"skimage/data/{file}" for file in files} <= inside


def test_names_by_kind():
    photographs, textures = images.names("photograph"), images.names("texture")
    assert {"china", "flower", "camera", "coins"} <= set(photographs)
    assert {"brick", "grass", "gravel"} == set(textures)
    assert sorted(photographs + textures) == sorted(images.names())


def test_describe_names_each_image_and_changes_with_the_pixels(monkeypatch):
    text = images.describe("china", "brick")
    assert text.startswith(
        "china (photograph by danielbuechele on Flickr, CC BY 2.0; scikit-learn), "
        "brick (texture from CC0Textures, CC0; scikit-image) (SHA-256 "
    )
    assert re.search(r"\(SHA-256 [0-9a-f]{12}\)$", text)
    assert images.describe("china", "brick") == text
    digest = images.describe("brick")[-13:]
    assert images.describe("grass")[-13:] != digest
    changed = skimage.data.brick().copy()
    changed[0, 0] += 1
    monkeypatch.setattr(skimage.io, "imread", lambda _: changed)
    assert images.describe("brick")[-13:] != digest


def test_a_wrong_name_is_offered_the_nearest_ones():
    with pytest.raises(DataError, match=r"^there is no image 'Gravle': do you mean gravel or grass\?$"):
        images.load("Gravle")
    with pytest.raises(DataError, match=r"^there is no image 'zzz': there are china, flower, .*gravel$"):
        images.load("zzz")
    with pytest.raises(DataError, match=r"^there is no image 'chna': do you mean china or chelsea\?$"):
        images.describe("brick", "chna")


def test_describing_nothing_is_refused():
    with pytest.raises(DataError, match=r"^no image is named: name some of china, flower"):
        images.describe()


def test_an_unknown_kind_is_refused(own_errors):
    with pytest.raises(ValueError, match=r"^kind is 'drawing': take one of photograph, texture or None$"):
        images.names("drawing")


@pytest.mark.parametrize(
    ("name", "library", "modules"),
    [
        ("china", "scikit-learn", ["sklearn.datasets"]),
        ("brick", "scikit-image", ["skimage", "skimage.io"]),
        ("aero", "PyWavelets", ["pywt.data"]),
    ],
)
def test_a_missing_library_is_named_with_what_installs_it(monkeypatch, name, library, modules):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    pattern = (
        rf"^the image '{name}' comes with {library}, which cannot be imported \(.+\): "
        r"pip install 'jaxtheory\[experiments\]'$"
    )
    with pytest.raises(MissingDataError, match=pattern):
        images.load(name)


def test_an_image_that_the_package_lacks_is_named_and_not_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(skimage, "__file__", str(tmp_path / "__init__.py"))
    pattern = (
        r"^the image 'brick' comes with scikit-image, whose package here does not hold it "
        r"\(.*brick\.png.*\): pip install 'jaxtheory\[experiments\]' --upgrade$"
    )
    with pytest.raises(MissingDataError, match=pattern):
        images.load("brick")
    monkeypatch.delattr(pywt.data, "aero")
    with pytest.raises(
        MissingDataError, match=r"^the image 'aero' comes with PyWavelets, whose package here"
    ):
        images.load("aero")


NUMBERED = [
    np.arange(7 * 9, dtype=np.float32).reshape(7, 9),
    1000 + np.arange(12 * 5, dtype=np.float32).reshape(12, 5),
]
"""Images whose pixels tell where they are."""


def test_each_patch_is_one_that_scikit_learn_cuts_out_of_the_same_image():
    cut = images.patches(NUMBERED, 500, 3, seed=3)
    every = np.concatenate([extract_patches_2d(image, (3, 3)) for image in NUMBERED])
    by_corner = {patch[0, 0]: patch for patch in every}
    assert cut.shape == (500, 3, 3)
    assert cut.dtype == np.float32
    np.testing.assert_array_equal(cut, [by_corner[patch[0, 0]] for patch in cut])


def test_every_position_of_every_image_is_as_likely():
    cut = images.patches(NUMBERED, 13_000, 3, seed=0)
    corners, counts = np.unique(cut[:, 0, 0], return_counts=True)
    assert len(corners) == 5 * 7 + 10 * 3
    assert stats.chisquare(counts).pvalue > 0.01
    # One after another, neither images nor rows are correlated.
    follows = np.corrcoef(cut[1:, 0, 0], cut[:-1, 0, 0])[0, 1]
    assert abs(follows) < 4 / np.sqrt(len(cut))


def test_patches_depend_on_the_seed_only():
    key = np.asarray(jax.random.key_data(jax.random.key(5)))
    for seed, other in ((1, 2), (key, key + 1), (np.random.default_rng(1), np.random.default_rng(2))):
        once = images.patches(NUMBERED, 20, 2, seed=seed)
        assert (images.patches(NUMBERED, 20, 2, seed=other) != once).any()
    for seed in (1, key):
        once, again = (images.patches(NUMBERED, 20, 2, seed=seed) for _ in range(2))
        np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(
        images.patches(NUMBERED, 20, 2, seed=1),
        images.patches(NUMBERED, 20, 2, seed=np.random.default_rng(1)),
    )


def test_centered_patches_are_the_patches_without_their_means():
    brick = images.load("brick", gray=True)
    patches = images.patches([brick], 200, 12, seed=4)
    centered = images.patches([brick], 200, 12, seed=4, centered=True)
    expected = np.float64(patches) - np.float64(patches).mean((1, 2), keepdims=True)
    assert centered.dtype == np.float32
    np.testing.assert_allclose(centered, expected, rtol=0, atol=3e-7)


def test_a_stack_of_images_is_cut_as_a_list_is(rng):
    stack = rng.random((4, 10, 8))
    cut = images.patches(stack, 30, 8)
    assert cut.dtype == np.float64
    np.testing.assert_array_equal(cut, images.patches(list(stack), 30, 8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 3, 2), r"^images are none: take at least one$"),
        (
            ([np.zeros((5, 6, 3))], 3, 2),
            r"^images hold one of shape \(5, 6, 3\): take gray images, \(H, W\)$",
        ),
        ((NUMBERED, 0, 2), r"^number is 0: take at least 1 patch$"),
        ((NUMBERED, 3, 0), r"^patch_size is 0: take 1 to 5, the images' shortest side$"),
        ((NUMBERED, 3, 6), r"^patch_size is 6: take 1 to 5, the images' shortest side$"),
    ],
)
def test_patches_that_cannot_be_cut_are_refused(own_errors, arguments, message):
    with pytest.raises(ValueError, match=message):
        images.patches(*arguments)
