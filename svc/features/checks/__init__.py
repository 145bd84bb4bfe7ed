"""Checks: JSON Schemas for what programs read."""
