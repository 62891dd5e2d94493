"""The command line: what `jaxtheory` and its commands do, and what becomes of Ctrl-C."""
