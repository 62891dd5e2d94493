"""Two-dimensional scattering as a step of a scikit-learn pipeline.

It needs scikit-learn: `pip install "jaxtheory[experiments]"`.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxtheory.harmonic import scattering2d


class ScatteringTransformer(TransformerMixin, BaseEstimator):
    """Scatters flattened images; nothing is learnt from them.

    Args:
      shape: height and width of the images.
      J: number of scales: coefficients are averaged over 2^J pixels.
      L: number of angles on the half circle.
      order: largest order of the coefficients: 0, 1 or 2.
      padding: `"reflect"` or `"periodic"`.
      wavelet: `"morlet"` or `"spline"`.
      chunk: number of images to work on at a time, as in `scattering2d.scatter`.

    Attributes:
      bank_: the filters, after `fit`.

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
        order: int = 2,
        padding: str = "reflect",
        wavelet: str = "morlet",
        chunk: int | None = None,
    ) -> None:
        self.shape = shape
        self.J = J
        self.L = L
        self.order = order
        self.padding = padding
        self.wavelet = wavelet
        self.chunk = chunk

    def fit(self, X: Any, y: Any = None) -> "ScatteringTransformer":  # noqa: ARG002
        """Makes the filters.

        Args:
          X: flattened images, (n, H * W).
          y: ignored.

        Returns:
          The transformer itself.

        Raises:
          ValueError: if the images are not of the shape that was announced, or a parameter is out of range.
        """
        self.bank_ = scattering2d.filter_bank(
            tuple(self.shape), self.J, self.L, self.order, padding=self.padding, wavelet=self.wavelet
        )
        self._validated(X, reset=True)
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n features"]:
        """Returns the scattering coefficients, flattened.

        Args:
          X: flattened images, (n, H * W); integers are converted.

        Returns:
          The coefficients, (n, C * (H // 2^J) * (W // 2^J)), by channel, row and column.

        Raises:
          ValueError: if the images are not of the shape that was announced.
        """
        check_is_fitted(self)
        images = self._validated(X, reset=False)
        coefficients = scattering2d.scatter(
            self.bank_, images.reshape(-1, *self.bank_.shape), chunk=self.chunk
        )
        return np.asarray(coefficients).reshape(len(images), -1)

    def _validated(self, X: Any, *, reset: bool) -> np.ndarray:
        images = validate_data(self, X, reset=reset, dtype=[np.float32, np.float64])
        height, width = self.bank_.shape
        if images.shape[1] != height * width:
            raise ValueError(
                f"X must have {height} * {width} = {height * width} columns, one for each pixel of shape = "
                f"{self.bank_.shape}, found {images.shape[1]}: flatten the images, X.reshape(len(X), -1)."
            )
        return images

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ARG002
        """Returns a name for each feature: order, scales, angles, row and column.

        Args:
          input_features: ignored.

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
