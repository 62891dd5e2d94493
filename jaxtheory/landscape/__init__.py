"""The landscape of the risk: curvature, spectra, surfaces, paths, critical points and dynamics."""
