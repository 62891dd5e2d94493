"""The landscape of the risk: curvature, critical points, paths, dynamics, and stochastic approximation."""
