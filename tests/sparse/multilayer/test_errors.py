"""What is refused, and how."""

import re

import jax
import numpy as np
import pytest

from jaxtheory.sparse import multilayer

ONE, TWO = np.ones((3, 1, 2), np.float32), np.ones((2, 2, 3), np.float32)
X = np.ones((8, 1), np.float32)
BAD = {
    "none": (([], X, []), {}, "filters is empty: take those of one layer at least"),
    "axes": (([np.ones((3, 2), np.float32)], X, [0.1]), {}, "filters of layer 1 has the shape (3, 2): take"),
    "mixed": (
        ([ONE, np.ones((2, 2, 2, 3), np.float32)], X, [0.1, 0.1]),
        {},
        "layer 2 has the shape (2, 2, 2, 3)",
    ),
    "chain": (
        ([ONE, ONE], X, [0.1, 0.1]),
        {},
        "layer 2 has 1 channels: take as many as the layer before has",
    ),
    "empty": (([ONE[..., :0]], X, [0.1]), {}, "layer 1 has the shape (3, 1, 0): take no empty axes"),
    "strides": (
        ([ONE, TWO], X, [0.1, 0.1]),
        {"strides": (2,)},
        "strides is (2,): take one number, or one for",
    ),
    "no stride": (
        ([ONE, TWO], X, [0.1, 0.1]),
        {"strides": 0},
        "strides is 0: take a whole number at least 1",
    ),
    "size": (([ONE, TWO], X, [0.1, 0.1]), {"strides": 4}, "do not divide: crop or pad to multiples of 16"),
    "images": (
        ([ONE, TWO], np.ones(8, np.float32), [0.1, 0.1]),
        {},
        "images has the shape (8,): take (..., length",
    ),
    "layers": (([ONE, TWO], X, [0.1]), {}, "has 1 entries: take one for each of the 2 layers"),
    "atoms": (
        ([ONE, TWO], X, [0.1, np.ones(2)]),
        {},
        "of layer 2 has the shape (2,): take a number, one for",
    ),
    "negative": (([ONE, TWO], X, [0.1, -0.5]), {}, "of layer 2 is -0.5: take a number of 0 or more"),
    "filters": (
        ([np.ones((9, 1, 2), np.float32)], X, [0.1]),
        {},
        "on a periodic image of shape (8,): take smaller",
    ),
    "boundary": (([ONE], X, [0.1]), {"boundary": "circular"}, "take 'periodic' or 'zero'"),
}


@pytest.mark.parametrize("function", ["layered_thresholding", "layered_basis_pursuit", "ml_ista", "ml_fista"])
@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, function, own_errors):
    args, options, message = BAD[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(multilayer, function)(*args, **options)


KEY = jax.random.key(0)
OTHERS = {
    "kind": (
        multilayer.layered_thresholding,
        ([ONE], X, [0.1]),
        {"kind": "firm"},
        "take 'soft', 'nonnegative' or",
    ),
    "steps": (
        multilayer.ml_ista,
        ([ONE], X, [0.1]),
        {"steps": 0},
        "steps is 0: take a whole number at least 1",
    ),
    "most": (multilayer.layered_basis_pursuit, ([ONE], X, [0.1]), {"max_steps": 0}, "max_steps is 0: take"),
    "step sizes": (
        multilayer.ml_ista,
        ([ONE], X, [0.1]),
        {"step_sizes": [0.0]},
        "step_sizes of layer 1 is 0.0",
    ),
    "tolerance": (
        multilayer.layered_basis_pursuit,
        ([ONE], X, [0.1]),
        {"tolerance": -1.0},
        "tolerance is -1.0",
    ),
    "widths": (
        multilayer.init,
        (KEY, [(3,)], (1, 2)),
        {},
        "kernel_size has 1 entries and atoms has 2: take as",
    ),
    "kernels": (multilayer.init, (KEY, [(0,)], (2,)), {}, "kernel_size is 0: take a whole number at least 1"),
    "no layers": (multilayer.init, (KEY, [], ()), {}, "filters is empty"),
    "entries": (
        multilayer.sample,
        (KEY, [ONE], (8,), 17),
        {},
        "sparsity is 17: take a whole number from 0 to 16",
    ),
    "shape": (multilayer.sample, (KEY, [ONE], (8, 8), 1), {}, "shape is (8, 8): take (length,)"),
    "sizes": (
        multilayer.sample,
        (KEY, [ONE], (8,), 1),
        {"smallest": -1.0},
        "smallest is -1.0: take a number of",
    ),
    "odd": (multilayer.sample, (KEY, [ONE], (9,), 1), {"strides": 2}, "multiples of 2"),
    "norms": (multilayer.squared_norms, ([ONE], (9,)), {"strides": 2}, "multiples of 2"),
    "codes": (
        multilayer.sparsity,
        ([ONE], [X, X]),
        {},
        "codes has 2 entries: take one for each of the 1 layers",
    ),
    "patch": (multilayer.patch_norm, (X, (3, 3)), {}, "take (height, width) or (length,)"),
    "large": (multilayer.patch_norm, (X, (9,)), {}, "patch_size is (9,), on a periodic image of shape (8,)"),
    "border": (multilayer.patch_norm, (X, (2,)), {"boundary": "same"}, "take 'periodic' or 'zero'"),
    "threshold": (
        multilayer.thresholding_guarantee,
        (np.ones(1), None, 0.0),
        {"kind": "firm"},
        "'soft' or 'hard'",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_errors_say_what_to_do(name, own_errors):
    function, args, options, message = OTHERS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        function(*args, **options)


def test_what_is_no_number_or_key_is_refused(own_errors):
    for call, message in (
        (lambda: multilayer.ml_ista([ONE], X, 0.1), "penalties is 0.1: take a sequence"),
        (
            lambda: multilayer.ml_ista([ONE], X, ["a"]),
            "penalties of layer 1 is 'a' (str): take an array of numbers",
        ),
        (lambda: multilayer.ml_ista([ONE + 0j], X, [0.1]), "filters of layer 1 is complex"),
        (lambda: multilayer.ml_ista([ONE], X, [0.1], steps=8.0), "steps is 8.0: take a whole number"),
        (lambda: multilayer.sample(0, [ONE], (8,), 1), "key is 0: take one random key"),
    ):
        with pytest.raises(TypeError, match=re.escape(message)):
            call()
