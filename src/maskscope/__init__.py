"""SAM 2, exact and streaming, with instruments that show why it loses an object."""

__version__ = "0.1.0"
