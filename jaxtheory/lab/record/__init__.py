"""What an experiment's run records: claims, points, checkpoints and figures, and where they are kept."""
