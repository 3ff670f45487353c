"""Aywa Runtime: a private voice-agent runtime."""

__version__ = "0.1.0"
