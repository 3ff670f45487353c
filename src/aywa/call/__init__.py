"""Runs one call, the brain: inbox, replies, tools, routes; refuses to touch audio pacing or to await a database."""
