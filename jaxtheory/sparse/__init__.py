"""Sparse coding, from thresholding to convolutional networks: pursuits, dictionaries, layers, unrolling."""
