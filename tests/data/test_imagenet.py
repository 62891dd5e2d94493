"""Photographs for networks of ImageNet, against Pillow and the libraries that hold them."""

import importlib.metadata
import sys

import numpy as np
import pytest
import skimage
import skimage.data
from PIL import Image

from jaxtheory.data import imagenet
from jaxtheory.data.errors import DataError, MissingDataError


def test_the_middle_is_cut_out_and_resized_to_8_bits():
    pixels = skimage.data.chelsea()
    side = 262  # 224 / 256 of 300 rows, rounded down; the odd pixel goes to the end
    square = Image.fromarray(pixels).crop((95, 19, 95 + side, 19 + side))
    expected = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC))
    found = imagenet.load("chelsea")
    assert found.images.shape == (1, 224, 224, 3)
    assert found.images.dtype == np.float32
    np.testing.assert_array_equal(np.rint(255 * found.images[0]), expected)
    np.testing.assert_allclose(found.images[0], expected / 255, rtol=1e-6)


def test_without_padding_the_whole_shorter_side_is_seen():
    ramp = np.repeat(np.linspace(0, 1, 8)[:, None], 12, axis=1)
    np.testing.assert_allclose(imagenet.crop(ramp, size=8, padding=0)[..., 1], ramp[:, :8], atol=0.5 / 255)


def test_every_photograph_is_inside_a_package_and_has_classes():
    found = imagenet.load(size=32)
    assert found.images.shape == (7, 32, 32, 3)
    assert found.names == tuple(imagenet.SENSES)
    assert set().union(*found.senses) == set(imagenet.NAMES)
    assert found.description.startswith(
        "photographs of 32 x 32: chelsea (by Stefan van der Walt, CC0; scikit"
    )
    inside = {str(path) for path in importlib.metadata.files("scikit-image")}
    assert f"skimage/data/{imagenet.MOTORCYCLE.file}" in inside
    np.testing.assert_array_equal(found.images[2][..., 0], found.images[2][..., 2])  # the gray one
    digests = {imagenet.load(name, size=size).digest for name in ("chelsea", "coffee") for size in (31, 32)}
    assert len(digests) == 4


def test_bad_input_is_refused(own_errors):
    image = np.zeros((4, 4))
    with pytest.raises(
        DataError, match=r"^there is no photograph 'moon': there are chelsea, coffee, .*flower$"
    ):
        imagenet.load("chelsea", "moon")
    with pytest.raises(ValueError, match=r"^image has the shape \(4, 4, 4\): take \(H, W\) or \(H, W, 3\)$"):
        imagenet.crop(np.zeros((4, 4, 4)))
    with pytest.raises(ValueError, match=r"^image holds 0 to 255: take intensities from 0 to 1$"):
        imagenet.crop(255 * np.eye(4))
    with pytest.raises(ValueError, match=r"^image holds nan to nan: take intensities from 0 to 1$"):
        imagenet.crop(np.nan * image)
    with pytest.raises(ValueError, match=r"^size is 0 and padding 32: take at least 1 pixel, and 0 or more$"):
        imagenet.crop(image, size=0)


def test_what_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(skimage, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(
        MissingDataError, match=r"^the photograph 'motorcycle' comes with scikit-image, whose"
    ):
        imagenet.load("motorcycle")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDataError, match=r"^images are resized by Pillow, which cannot be imported"):
        imagenet.crop(np.zeros((4, 4)))
    monkeypatch.setitem(sys.modules, "skimage.io", None)
    with pytest.raises(
        MissingDataError, match=r"^the photograph 'motorcycle' comes with scikit-image, which"
    ):
        imagenet.load("motorcycle")
