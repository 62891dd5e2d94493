"""Experiments on harmonic analysis: the scattering transform."""
