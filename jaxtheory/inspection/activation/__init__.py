r"""The input that a unit, a channel or a class answers to most, under a prior of images.

`maximize` runs to the end; `ascent` is the pair of functions beneath, whose state is a pytree that can be
stored, so that a long search can be taken up again.

Conventions: `features(params, x)` takes one image `(H, W, C)`, or an input of any other shape, and returns
an array `(..., channels)`: the maps of a layer `(H', W', channels)`, or the outputs of a dense one
`(channels,)`. Units are numbered along its last axis. A search goes on for several units side by side:
`units` has any shape, and `x` has the same axes in front.
"""

from jaxtheory.inspection.activation.search import Ascent, AscentState, MaximizationResult, ascent, maximize

__all__ = ["Ascent", "AscentState", "MaximizationResult", "ascent", "maximize"]
