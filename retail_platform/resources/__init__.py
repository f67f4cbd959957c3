"""Dagster resources that wrap outside systems."""
