"""The lab: what runs an experiment, keeps what it finds and shows it; the command line."""
