"""Pursuits of a fixed number of steps whose parameters are learnt: each a module with `init` and `apply`."""
