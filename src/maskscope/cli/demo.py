"""`maskscope demo`: see it work on the clip that comes with the package."""

from __future__ import annotations


def demo() -> None:
    """Demo."""
