"""What records: claims and how they are decided, sweeps and their points, the laboratory, runs and digests."""
