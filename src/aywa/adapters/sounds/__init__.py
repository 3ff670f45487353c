"""Sounds that an assistant names by an address."""
