"""Where measurements are kept and shown: Prometheus."""
