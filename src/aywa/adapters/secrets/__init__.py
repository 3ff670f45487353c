"""Keepers of secrets, each with a way of its own."""
