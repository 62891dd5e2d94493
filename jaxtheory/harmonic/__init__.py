"""Harmonic analysis: wavelets, the scattering transforms built from them, and deformations."""
