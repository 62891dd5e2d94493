"""Sparse coding, from thresholding to the forward pass of a convolutional network."""
