"""The command line: what `jaxtheory` and its commands do, their flags, and the handling of signals."""
