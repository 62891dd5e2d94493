"""What shows runs to people: progress, the report, the committed verdicts and mosaics of patches."""
