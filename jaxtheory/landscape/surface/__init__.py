"""Pictures of a loss: directions in the space of parameters, and values along lines and over planes.

A direction is a pytree like the parameters; several are stacked on a leading axis of every leaf.
"""

from jaxtheory.landscape.surface.directions import (
    Plane,
    TrajectoryPlane,
    plane_through,
    random_directions,
    trajectory_plane,
)
from jaxtheory.landscape.surface.slices import line_values, plane_values

__all__ = [
    "Plane",
    "TrajectoryPlane",
    "line_values",
    "plane_through",
    "plane_values",
    "random_directions",
    "trajectory_plane",
]
