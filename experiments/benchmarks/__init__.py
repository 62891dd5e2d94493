"""Benches: ours and the peers in one run, one file per subject."""
