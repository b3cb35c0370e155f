"""Benchmarks: what is measured depends on the machine, so it is no part of the tests."""
