"""Whether the process serves, and whether it can do its work."""
