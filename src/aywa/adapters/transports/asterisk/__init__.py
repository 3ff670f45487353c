"""Asterisk's own interface, for what its media sockets do not have."""
