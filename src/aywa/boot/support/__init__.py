"""Collects a support bundle from this machine, and reads one. The one place that knows where everything lies."""
