"""What is refused, and how."""

import re

import jax
import numpy as np
import pytest

from jaxtheory.sparse import multilayer

ONE, TWO = np.ones((3, 1, 2), np.float32), np.ones((2, 2, 3), np.float32)
X = np.ones((8, 1), np.float32)
BAD = {
    "none": (([], X, []), {}, "a model has one dictionary at least, got none"),
    "axes": (([np.ones((3, 2), np.float32)], X, [0.1]), {}, "layer 1 has filters of shape (3, 2)"),
    "mixed": (([ONE, np.ones((2, 2, 2, 3), np.float32)], X, [0.1, 0.1]), {}, "all layers take"),
    "chain": (([ONE, ONE], X, [0.1, 0.1]), {}, "layer 2 has 1 channels and the one before 2 atoms"),
    "strides": (([ONE, TWO], X, [0.1, 0.1]), {"strides": (2,)}, "strides are (2,): take one of 1 or more"),
    "no stride": (([ONE, TWO], X, [0.1, 0.1]), {"strides": 0}, "strides are (0, 0): take one of 1 or more"),
    "size": (([ONE, TWO], X, [0.1, 0.1]), {"strides": 4}, "crop or pad them to multiples of 16"),
    "images": (([ONE, TWO], np.ones(8, np.float32), [0.1, 0.1]), {}, "the last of 1 channels, got (8,)"),
    "layers": (([ONE, TWO], X, [0.1]), {}, "for 2 layers: give one for each layer"),
    "atoms": (([ONE, TWO], X, [0.1, np.ones(2)]), {}, "codes of shape (8, 3), got shape (2,)"),
    "negative": (([ONE, TWO], X, [0.1, -0.5]), {}, "hold -0.5: take"),
    "filters": (([np.ones((9, 1, 2), np.float32)], X, [0.1]), {}, "do not fit on a circular image"),
}


@pytest.mark.parametrize("function", ["layered_thresholding", "layered_basis_pursuit", "ml_ista", "ml_fista"])
@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, function, own_errors):
    args, options, message = BAD[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(multilayer, function)(*args, **options)


OTHERS = {
    "kind": (multilayer.layered_thresholding, ([ONE], X, [0.1]), {"kind": "firm"}, "take one of soft, nonn"),
    "penalty": (multilayer.layered_basis_pursuit, ([ONE], X, [0.0]), {}, "penalties hold 0.0: take positive"),
    "steps": (multilayer.ml_ista, ([ONE], X, [0.1]), {"steps": 0}, "steps are 0: take 1 at least"),
    "learning": (multilayer.learn, ([ONE], X[None], [0.1]), {"steps": 0}, "steps are 0: take 1 at least"),
    "step sizes": (multilayer.ml_ista, ([ONE], X, [0.1]), {"step_sizes": [0.0]}, "take positive ones"),
    "widths": (multilayer.init, (jax.random.key(0), [(3,)], (1,)), {}, "1 kernels and 1 widths: take"),
    "kernels": (multilayer.init, (jax.random.key(0), [(0,)], (1, 2)), {}, "all are 1 at least"),
    "entries": (multilayer.sample, (jax.random.key(0), [ONE], (8,), 17), {}, "codes have 16 places"),
    "size": (multilayer.sample, (jax.random.key(0), [ONE], (8, 8), 1), {}, "an image of size (8, 8) has no"),
    "odd": (multilayer.sample, (jax.random.key(0), [ONE], (9,), 1), {"strides": 2}, "multiples of 2"),
    "norms": (multilayer.squared_norms, ([ONE], (9,)), {"strides": 2}, "multiples of 2"),
    "codes": (multilayer.sparsity, ([ONE], [X, X]), {}, "codes of 2 layers for 1 filters: leave"),
    "patch": (multilayer.patch_norm, (X, (3, 3)), {}, "take (height, width) or (length,)"),
    "large": (multilayer.patch_norm, (X, (9,)), {}, "patches of size (9,) do not fit on a circular image"),
    "border": (multilayer.patch_norm, (X, (2,)), {"boundary": "same"}, "take 'circular' or 'zero'"),
    "threshold": (
        multilayer.thresholding_guarantee, (np.ones(1), None, 0.0), {"kind": "firm"}, "'soft' or 'hard'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_errors_say_what_to_do(name, own_errors):
    function, args, options, message = OTHERS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        function(*args, **options)
