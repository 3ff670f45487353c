"""Translates HTTP to the services and back; refuses to hold rules of its own or to name an adapter."""
