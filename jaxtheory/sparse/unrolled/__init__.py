"""Pursuits of a fixed number of steps whose parameters are learned: each a module with `init` and `apply`."""
