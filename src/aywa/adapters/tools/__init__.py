"""Whom a call's tools ask over the network, beside its customer's own servers."""
