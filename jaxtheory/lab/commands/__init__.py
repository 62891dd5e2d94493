"""The command line: what `jaxtheory` and its commands do, their flags, and what becomes of signals."""
