"""Appends, reads and projects what happened in a call; refuses to decide anything."""
