"""Decides: pure state machines, codecs and records; refuses to do input or output, to wait, or to read a clock."""
