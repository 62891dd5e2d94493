"""Photographs of things that ImageNet has classes for, cut and resized as its networks see them.

They travel inside scikit-learn and scikit-image, and were not taken from ImageNet. What they may be called is
our reading of the pictures, among the thousand classes of the challenge of 2012, numbered from 0.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxtheory.data import images
from jaxtheory.data.errors import INSTALL, DataError, MissingDataError

PADDING = 32
"""The pixels by which networks' images are cut smaller than the whole: 224 of 256."""
NAMES = {
    281: "tabby", 282: "tiger cat", 283: "Persian cat", 284: "Siamese cat", 285: "Egyptian cat",
    504: "coffee mug", 657: "missile", 663: "monastery", 665: "moped", 670: "motor scooter", 698: "palace",
    732: "Polaroid camera", 744: "projectile", 759: "reflex camera", 812: "space shuttle", 832: "stupa",
    872: "tripod", 967: "espresso", 968: "cup", 985: "daisy", 986: "yellow lady's slipper",
}  # fmt: skip
"""The names of the classes that are right for a photograph."""
SENSES = {
    "chelsea": (281, 282, 283, 284, 285),
    "coffee": (504, 967, 968),
    "camera": (732, 759, 872),
    "rocket": (657, 744, 812),
    "motorcycle": (665, 670),
    "china": (663, 698, 832),
    "flower": (985, 986),
}
"""The photographs, and the classes that are right for each."""
MOTORCYCLE = images.Origin(
    "photograph", "scikit-image", "by Daniel Scharstein et al., Middlebury stereo 2014", "motorcycle_left.png"
)
"""Where the photograph that `images` does not have is from."""


@dataclass(frozen=True)
class Photographs:
    """Photographs as arrays, what they show, and which ones they are."""

    images: Float[np.ndarray, "n size size 3"]
    """Intensities from 0 to 1, in whole steps of 1/255, of red, green and blue."""
    names: tuple[str, ...]
    """The name of each photograph."""
    senses: tuple[tuple[int, ...], ...]
    """The classes that are right for each photograph."""
    description: str
    """Which photographs they are, in a phrase for the findings."""
    digest: str
    """The SHA-256 of the intensities in their order."""


def load(*names: str, size: int = 224, padding: int = PADDING) -> Photographs:
    """Read photographs, cut and resized by `crop`.

    Args:
        *names: The names of the photographs, of `SENSES`; none for all.
        size: The width and height in pixels.
        padding: The pixels that `crop` cuts off.

    Returns:
        The photographs; a gray one has three equal colors.

    Raises:
        DataError: If there is no photograph of a name.
        MissingDataError: If a library that holds one is not installed, or its package lacks it.
        ValueError: If a size is out of its range.

    Example:
        >>> from jaxtheory.data import imagenet
        >>> imagenet.load("chelsea", "camera").images.shape
        (2, 224, 224, 3)
    """
    names = names or tuple(SENSES)
    if unknown := [name for name in names if name not in SENSES]:
        raise DataError(f"there is no photograph '{unknown[0]}': there are {', '.join(SENSES)}")
    pixels = np.stack([crop(_read(name), size=size, padding=padding) for name in names])
    origins = [MOTORCYCLE if name == "motorcycle" else images.ORIGINS[name] for name in names]
    told = [f"{name} ({one.credit}; {one.library})" for name, one in zip(names, origins)]
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(pixels)
    return Photographs(
        pixels,
        names,
        tuple(SENSES[name] for name in names),
        f"photographs of {size} x {size}: {', '.join(told)}",
        digest.hexdigest(),
    )


def crop(
    image: Float[np.ndarray, "H W"] | Float[np.ndarray, "H W 3"], *, size: int = 224, padding: int = PADDING
) -> Float[np.ndarray, "size size 3"]:
    """Cut the middle out of an image and resize it, as EfficientNet's authors do before a test.

    The middle is a square whose side is `size / (size + padding)` of the shorter side of the image; it is
    resized by bicubic interpolation, Pillow's, and rounded to 8 bits.

    Args:
        image: The image, with intensities in [0, 1]; gray, or of red, green and blue.
        size: The width and height of the result in pixels, at least 1.
        padding: The pixels at the scale of the result that are cut off the shorter side; 0 for none.

    Returns:
        The image, float32 in [0, 1], in whole steps of 1/255.

    Raises:
        ValueError: If the image has other axes or intensities out of [0, 1], or a number is out of its range.
        MissingDataError: If Pillow is not installed.

    Example:
        >>> import numpy as np
        >>> crop(np.full((300, 400), 0.2), size=4)[0, 0]
        array([0.2, 0.2, 0.2], dtype=float32)
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDataError(
            f"images are resized by Pillow, which cannot be imported ({error}): {INSTALL}"
        ) from error
    image = np.asarray(image)
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)) or 0 in image.shape:
        raise ValueError(f"image has the shape {image.shape}: take (H, W) or (H, W, 3)")
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"image holds {image.min():g} to {image.max():g}: take intensities from 0 to 1")
    if size < 1 or padding < 0:
        raise ValueError(f"size is {size} and padding {padding}: take at least 1 pixel, and 0 or more")
    pixels = np.uint8(np.rint(255 * np.float64(image)))
    pixels = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    side = max(1, int(size / (size + padding) * min(pixels.shape[:2])))
    top, left = ((whole - side + 1) // 2 for whole in pixels.shape[:2])
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    resized = np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))
    return np.float32(resized) / np.float32(255)


def _read(name: str) -> Float[np.ndarray, "..."]:
    """A photograph as its library stores it, in [0, 1]."""
    if name != "motorcycle":
        return images.load(name)
    try:
        import skimage
        import skimage.io

        # Its function in skimage.data would download what the package lacks.
        file = Path(skimage.__file__).parent / "data" / MOTORCYCLE.file
        return np.float32(skimage.io.imread(file) / 255)
    except ImportError as error:
        raise MissingDataError(
            f"the photograph '{name}' comes with scikit-image, which cannot be imported ({error}): {INSTALL}"
        ) from error
    except OSError as error:
        raise MissingDataError(
            f"the photograph '{name}' comes with scikit-image, whose package here does not hold it "
            f"({error}): {INSTALL} --upgrade"
        ) from error
