"""Generalization: how networks that can fit anything still err little, and what bounds can say about it."""
