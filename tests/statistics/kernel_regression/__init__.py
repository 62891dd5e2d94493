"""Tests of regression with kernels."""
