"""Experiments: one file per claim of the lecture, in folders named like its sections."""
