"""Experiments on approximation: when and why deep networks are better than shallow ones."""
