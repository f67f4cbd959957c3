"""Benchmarks: generated tables of any number and size, driven through the real code location."""
