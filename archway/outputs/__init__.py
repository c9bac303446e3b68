"""Results for other programs: files that CI services read."""
