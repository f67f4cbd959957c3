"""Serving: what people outside of the platform read."""
