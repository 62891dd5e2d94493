"""What shows runs to people: progress, the report and the committed verdicts."""
