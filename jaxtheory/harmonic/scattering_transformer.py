"""Two-dimensional scattering as a step of a scikit-learn pipeline.

It needs scikit-learn: `pip install "jaxtheory[experiments]"`.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import check_is_fitted

from jaxtheory.core.transformer import PreciseTransformer
from jaxtheory.harmonic import scattering2d, wavelets


class ScatteringTransformer(PreciseTransformer):
    """Scatters flattened images; nothing is learned from them.

    Computation is in the precision of `X`, double or single. Its parameters are those of
    `scattering2d.filter_bank`, and `chunk` that of `scattering2d.scatter`.

    Args:
        shape: The height and width of the images.
        J: The number of scales: coefficients are averaged over 2^J pixels.
        L: The number of angles on the half circle.
        order: The largest order of the coefficients: 0, 1 or 2.
        boundary: How images are continued beyond their border: `"reflect"` or `"periodic"`.
        wavelet: The function that makes the filters: `wavelets.morlet` or `wavelets.spline`.
        chunk: The number of images to work on at a time; by default what suits the platform.

    Attributes:
        bank_: The filters, after `fit`.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.harmonic.scattering_transformer import ScatteringTransformer
        >>> transformer = ScatteringTransformer(shape=(16, 16), J=2, L=4)
        >>> transformer.fit_transform(np.ones((3, 256))).shape
        (3, 400)
        >>> transformer.get_feature_names_out()[[0, -1]].tolist()
        ['s0_y0_x0', 's2_j0_1_angle3_3_y3_x3']
    """

    def __init__(
        self,
        shape: tuple[int, int],
        J: int,
        L: int = 8,
        *,
        order: int = 2,
        boundary: str = "reflect",
        wavelet: Callable[[tuple[int, int], int, int], wavelets.Filters] = wavelets.morlet,
        chunk: int | None = None,
    ) -> None:
        self.shape = shape
        self.J = J
        self.L = L
        self.order = order
        self.boundary = boundary
        self.wavelet = wavelet
        self.chunk = chunk

    def fit(self, X: Any, y: Any = None) -> "ScatteringTransformer":  # noqa: ARG002
        """Make the filters.

        Args:
            X: The flattened images, (n, H * W).
            y: Nothing; scikit-learn's pipelines hand over labels, which are ignored.

        Returns:
            The transformer itself.

        Raises:
            ValueError: If the images are not of the shape given as `shape`, or a parameter is out of range.
        """
        facts = {"order": self.order, "boundary": self.boundary, "wavelet": self.wavelet}
        with self._in_precision(np.float64):
            bank = scattering2d.filter_bank(self.shape, self.J, self.L, **facts)
        self.bank_ = jax.tree.map(np.asarray, bank)
        self._check_width(self._rows(X, reset=True))
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n features"]:
        """Return the scattering coefficients, flattened.

        Args:
            X: The flattened images, (n, H * W).

        Returns:
            The coefficients, (n, C * (H // 2^J) * (W // 2^J)), by channel, row and column.

        Raises:
            ValueError: If the images are not of the shape given as `shape`.
        """
        images = self._rows_after_fit(X)
        with self._in_precision(images.dtype):
            bank = jax.tree.map(lambda leaf: leaf.astype(images.dtype), self.bank_)
            found = scattering2d.scatter(bank, images.reshape(-1, *bank.shape), chunk=self.chunk)
            return np.asarray(found).reshape(len(images), -1)

    def _check_width(self, images: np.ndarray) -> None:
        """Refuses rows that are no images of the shape."""
        height, width = self.bank_.shape
        if images.shape[1] != height * width:
            raise ValueError(
                f"X has {images.shape[1]} columns: take {height} * {width} = {height * width}, one for each "
                f"pixel of images of shape {self.bank_.shape}, as X.reshape(len(X), -1)"
            )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ARG002
        """Return a name for each feature: order, scales, angles, row and column.

        Args:
            input_features: Nothing; scikit-learn hands over names of pixels, which are ignored.

        Returns:
            The names, an array of strings (features,).
        """
        check_is_fitted(self)
        height, width = (size // 2**self.bank_.J for size in self.bank_.shape)
        names = []
        for path in scattering2d.paths(self.bank_):
            parts = [f"s{path.order}"]
            if path.order:
                parts += [f"j{'_'.join(map(str, path.scales))}", f"angle{'_'.join(map(str, path.angles))}"]
            channel = "_".join(parts)
            names += [f"{channel}_y{row}_x{column}" for row in range(height) for column in range(width)]
        return np.array(names, dtype=object)
