"""The landscape of the risk: curvature, critical points, paths between minima, and dynamics."""
