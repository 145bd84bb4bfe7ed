"""Integration tests by subject: over real HTTP and a real PostgreSQL."""
