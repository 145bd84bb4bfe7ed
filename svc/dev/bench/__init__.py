"""`make bench`: how fast the service is, beside what it could be at most."""
