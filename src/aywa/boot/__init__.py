"""Reads settings and joins the parts, the only place that names adapters; refuses to do their work."""
