"""Telephony equipment that brings calls over a media socket, each written from its vendor's documentation and nothing else."""
