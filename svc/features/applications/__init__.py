"""Applications, which own configurations."""
