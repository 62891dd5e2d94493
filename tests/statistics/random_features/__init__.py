"""Tests of random features."""
