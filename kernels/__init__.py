"""Accelerator kernels, one folder each: a reference, a Pallas form and the choice between them."""
