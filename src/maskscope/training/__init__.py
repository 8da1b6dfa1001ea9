"""Data engine, losses and loop that make the compact model; wraps SAM 2, never inherits from it."""
