"""Configurations: named documents with revisions."""
