"""Paths between networks: straight lines and their barriers, trained curves, alignment by permutations."""

from jaxtheory.landscape.connectivity.alignment import (
    AlignmentResult,
    layer_groups,
    match_weights,
    permute_units,
)
from jaxtheory.landscape.connectivity.paths import (
    Path,
    barrier,
    path_between,
    path_objective,
    path_values,
    point_at,
    straight_path,
)

__all__ = [
    "AlignmentResult",
    "Path",
    "barrier",
    "layer_groups",
    "match_weights",
    "path_between",
    "path_objective",
    "path_values",
    "permute_units",
    "point_at",
    "straight_path",
]
