"""Replays a call's record: the same decisions, or which one differs, or what other settings would have changed.

Pure: the record comes in as a list, time is what the record says.
"""
