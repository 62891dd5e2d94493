"""Networks as pairs of pure functions, and their training."""
