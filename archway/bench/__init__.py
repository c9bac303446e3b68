"""Measures what docs/figures.md explains."""
