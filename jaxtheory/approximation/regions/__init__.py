r"""Linear regions of ReLU networks, exactly: on a segment and in a plane, without sampling.

`segment` and `plane` cut what they are given along the zeros of each neuron, layer by layer, in NumPy and in
double precision. Their results tell apart cells, on each of which all neurons keep their sign, and pieces,
the largest connected sets on which the network is affine: neurons that nothing depends on make cells only.
`lower_bound` and `upper_bound` say how many regions an architecture can have.
"""

from jaxtheory.approximation.regions.bounds import lower_bound, upper_bound
from jaxtheory.approximation.regions.linear import Segment, segment
from jaxtheory.approximation.regions.planar import Plane, plane, polygons

__all__ = ["Plane", "Segment", "lower_bound", "plane", "polygons", "segment", "upper_bound"]
