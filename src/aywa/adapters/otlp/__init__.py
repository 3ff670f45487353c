"""Traces and logs to whoever speaks OTLP."""
