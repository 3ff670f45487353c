"""Translates the wire of each vendor and store; refuses to retry, fall back or count, and siblings never meet."""
