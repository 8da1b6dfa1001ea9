"""Instruments that look at a tracker from outside: five positions, finer taps, and measures that reduce them.

Everything here reads and nothing changes an activation, but for `intervene` and what is built on it, which are named
apart on purpose. Measures are functions of plain tensors and masks; who knows about clips and files is `studies`.
"""
