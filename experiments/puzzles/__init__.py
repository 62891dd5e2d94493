"""Puzzles: small changes that fool networks, what their units see, what codes keep and what transfers."""
