"""Real photographs and textures that travel inside scikit-learn, scikit-image and PyWavelets; their patches.

Nothing is ever downloaded: an image is here if the library's package holds it.
"""

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer, UInt8

from jaxtheory.data.errors import INSTALL, DataError, MissingDataError

Kind = Literal["photograph", "texture"]

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue in gray: the luma of ITU-R BT.709."""


@dataclass(frozen=True)
class Origin:
    """Where an image is from."""

    kind: Kind
    library: Literal["scikit-learn", "scikit-image", "PyWavelets"]
    """The library whose package holds it."""
    credit: str
    """Author and license, as the library states them."""
    file: str
    """The library's name of it."""


# scikit-learn's README credits both its photographs to the first author; the second's link names another.
ORIGINS = {
    "china": Origin("photograph", "scikit-learn", "by danielbuechele on Flickr, CC BY 2.0", "china.jpg"),
    "flower": Origin("photograph", "scikit-learn", "by vultilion on Flickr, CC BY 2.0", "flower.jpg"),
    "astronaut": Origin("photograph", "scikit-image", "by NASA, public domain", "astronaut.png"),
    "camera": Origin("photograph", "scikit-image", "by Lav Varshney, CC0", "camera.png"),
    "chelsea": Origin("photograph", "scikit-image", "by Stefan van der Walt, CC0", "chelsea.png"),
    "coffee": Origin("photograph", "scikit-image", "by Rachel Michetti, CC0", "coffee.png"),
    "coins": Origin(
        "photograph", "scikit-image", "of the Brooklyn Museum, no known copyright restrictions", "coins.png"
    ),
    "cell": Origin("photograph", "scikit-image", "by Paul Müller et al., CC0", "cell.png"),
    "moon": Origin("photograph", "scikit-image", "of unstated origin", "moon.png"),
    "rocket": Origin("photograph", "scikit-image", "by SpaceX, public domain", "rocket.jpg"),
    "ascent": Origin("photograph", "PyWavelets", "from public-domain-image.com", "ascent"),
    "aero": Origin("photograph", "PyWavelets", "of unstated origin", "aero"),
    "brick": Origin("texture", "scikit-image", "from CC0Textures, CC0", "brick.png"),
    "grass": Origin("texture", "scikit-image", "by linolafett on DeviantArt, CC0", "grass.png"),
    "gravel": Origin("texture", "scikit-image", "from CC0Textures, CC0", "gravel.png"),
}
"""Every image that `load` knows, by its name."""


def load(name: str, *, gray: bool = False) -> Float[np.ndarray, "H W"] | Float[np.ndarray, "H W 3"]:
    r"""Read a photograph or a texture.

    Gray is the luma of ITU-R BT.709, $0.2126 R + 0.7152 G + 0.0722 B$, of the intensities as stored (gamma
    encoded, as they are in images that were gray from the start).

    Args:
        name: The name of the image, one of `ORIGINS`.
        gray: Whether colors are turned to gray; an image without colors is always gray.

    Returns:
        The image, float32 in [0, 1]: `(H, W)` if it is gray, else `(H, W, 3)` in red, green and blue.

    Raises:
        DataError: If there is no image of this name.
        MissingDataError: If the library that holds it is not installed, or its package lacks the image.

    Example:
        >>> from jaxtheory.data import images
        >>> images.load("china").shape, images.load("china", gray=True).shape
        ((427, 640, 3), (427, 640))
    """
    image = _read(name)
    # In float64: rounding in float32 would leave white a little above 1.
    return np.float32((image @ np.float64(LUMA) if gray and image.ndim == 3 else image) / 255)


def names(kind: Kind | None = None) -> tuple[str, ...]:
    """Name the images that `load` reads.

    Args:
        kind: The kind of images, photographs or textures; by default both.

    Returns:
        The names, in the order of `ORIGINS`.

    Raises:
        ValueError: If there is no such kind.

    Example:
        >>> names("texture")
        ('brick', 'grass', 'gravel')
    """
    kinds = {origin.kind for origin in ORIGINS.values()}
    if kind is not None and kind not in kinds:
        raise ValueError(f"kind is {kind!r}: take one of {', '.join(sorted(kinds))} or None")
    return tuple(name for name, origin in ORIGINS.items() if kind in (None, origin.kind))


def describe(*chosen: str) -> str:
    """Describe images in a phrase, for the findings.

    Args:
        *chosen: The names of the images, in their order.

    Returns:
        Each name with its origin, and the first twelve digits of the SHA-256 of all pixels, which tells other
        images, and the same images decoded otherwise, apart.

    Raises:
        DataError: If there is no image of one of the names, or no name is given.
        MissingDataError: If a library that holds one is not installed, or its package lacks the image.

    Example:
        >>> describe("camera")
        'camera (photograph by Lav Varshney, CC0; scikit-image) (SHA-256 ...)'
    """
    if not chosen:
        raise DataError(f"no image is named: name some of {', '.join(ORIGINS)}")
    digest = hashlib.sha256()
    parts = []
    for name in chosen:
        pixels = _read(name)
        digest.update(f"{name} {pixels.shape}".encode())
        digest.update(pixels)
        origin = ORIGINS[name]
        parts.append(f"{name} ({origin.kind} {origin.credit}; {origin.library})")
    return f"{', '.join(parts)} (SHA-256 {digest.hexdigest()[:12]})"


def patches(
    images: Sequence[Float[np.ndarray, "_ _"]] | Float[np.ndarray, "n H W"],
    number: int,
    patch_size: int,
    *,
    seed: int | Integer[np.ndarray, " words"] | np.random.Generator = 0,
    centered: bool = False,
) -> Float[np.ndarray, "number patch_size patch_size"]:
    """Cut patches out of gray images at random.

    Each position of each image is as likely as any other, so a larger image gives more patches; a position
    may be drawn more than once.

    Args:
        images: The gray images, of any sizes, or all of them in one array.
        number: The number of patches, at least 1.
        patch_size: The height and width of a patch in pixels, from 1 to the shortest side of the images.
        seed: The seed of the positions: a generator, or whatever else `np.random.default_rng` takes, such as
            the words of a key of JAX, `np.asarray(jax.random.key_data(key))`.
        centered: Whether the mean of each patch is subtracted from it.

    Returns:
        The patches, of the images' dtype.

    Raises:
        ValueError: If there are no images, one is not gray, or a number or size is out of range.

    Example:
        >>> from jaxtheory.data import images
        >>> textures = [images.load(name, gray=True) for name in images.names("texture")]
        >>> images.patches(textures, 1000, 12, seed=1, centered=True).shape
        (1000, 12, 12)
    """
    images = [np.asarray(image) for image in images]
    if not images:
        raise ValueError("images are none: take at least one")
    for image in images:
        if image.ndim != 2:
            raise ValueError(f"images hold one of shape {image.shape}: take gray images, (H, W)")
    if number < 1:
        raise ValueError(f"number is {number}: take at least 1 patch")
    shapes = np.array([image.shape for image in images])
    if not 1 <= patch_size <= shapes.min():
        raise ValueError(f"patch_size is {patch_size}: take 1 to {shapes.min()}, the images' shortest side")
    room = shapes - patch_size + 1
    ends = room.prod(1).cumsum()
    positions = np.random.default_rng(seed).integers(ends[-1], size=number)
    owners = np.searchsorted(ends, positions, side="right")
    cut = np.empty((number, patch_size, patch_size), np.result_type(*{image.dtype for image in images}))
    for owner in np.unique(owners):
        mine = owners == owner
        within = positions[mine] - (ends[owner] - room[owner].prod())
        windows = np.lib.stride_tricks.sliding_window_view(images[owner], (patch_size, patch_size))
        cut[mine] = windows[np.divmod(within, room[owner, 1])]
    return cut - cut.mean((1, 2), keepdims=True) if centered else cut


def _read(name: str) -> UInt8[np.ndarray, "..."]:
    """The pixels of an image, as its library stores them."""
    if name not in ORIGINS:
        near = difflib.get_close_matches(name.lower(), ORIGINS, n=3, cutoff=0.5)
        offer = f"do you mean {' or '.join(near)}?" if near else f"there are {', '.join(ORIGINS)}"
        raise DataError(f"there is no image '{name}': {offer}")
    origin = ORIGINS[name]
    try:
        if origin.library == "scikit-learn":
            from sklearn.datasets import load_sample_image

            return load_sample_image(origin.file)
        if origin.library == "scikit-image":
            import skimage.io

            # Its functions in skimage.data would download a file that the package lacks.
            return skimage.io.imread(Path(skimage.__file__).parent / "data" / origin.file)
        import pywt.data

        return getattr(pywt.data, origin.file)()
    except ImportError as error:
        raise MissingDataError(
            f"the image '{name}' comes with {origin.library}, which cannot be imported ({error}): {INSTALL}"
        ) from error
    except (OSError, AttributeError) as error:
        raise MissingDataError(
            f"the image '{name}' comes with {origin.library}, whose package here does not hold it ({error}): "
            f"{INSTALL} --upgrade"
        ) from error
