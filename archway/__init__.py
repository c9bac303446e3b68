"""Builds container images for several architectures on one machine, and proves that they are what they say."""
