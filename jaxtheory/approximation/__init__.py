"""Approximation: when deep beats shallow, in exact constructions and in networks that are trained."""
