"""Data: arrays in, arrays out, each with the name of where it came from."""
