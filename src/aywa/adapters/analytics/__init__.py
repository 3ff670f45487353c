"""Databases that are made for sums over many rows."""
