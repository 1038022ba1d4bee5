"""Reusable component resources, one concept a file; they know nothing of the catalogue or of settings."""
