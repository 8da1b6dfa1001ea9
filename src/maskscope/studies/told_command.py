"""A command as a record keeps it, for readers elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def told_command(words: Iterable[str]) -> list[str]:
    """The words of a command; of a path that leads out of the folder it ran in only the last part, in options, too.

    Args:
        words: such as `["maskscope", "stress", "../data/davis", "--material=/data/davis"]`.
    """
    return [told_word(word) for word in words]


def told_word(word: str) -> str:
    """One of them."""
    option, equals, value = word.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={told_word(value)}"
    path = Path(word)
    return path.name if path.is_absolute() or path.parts[:1] in (("..",), ("~",)) else word
