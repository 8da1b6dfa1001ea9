"""Whole pieces of work on videos: they tie model, tracking, data and evaluation together."""
