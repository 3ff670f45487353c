"""Customers' endpointing models behind a wire."""
