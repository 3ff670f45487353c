"""Holds the use-cases (assistants, numbers, calls, ...) without a transport; refuses to know about HTTP."""
