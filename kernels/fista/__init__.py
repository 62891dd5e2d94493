"""FISTA with the Gram matrix on the chip for all of its steps."""
