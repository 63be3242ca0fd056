"""Benchmarks that prove what the documentation promises; each is run by `python -m bench.NAME`."""
