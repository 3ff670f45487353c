"""SRTP by a library."""
