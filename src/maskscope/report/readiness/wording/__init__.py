"""All text of the page, one catalogue for each language: the same keys with the same placeholders."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from maskscope.errors import SettingError
from maskscope.readiness.result import LANGUAGES

LANGUAGE_NAMES: Final = {"en": "English", "ja": "日本語"}


@dataclass(frozen=True)
class Wording:
    """Text by key, such as "sweep.limit".

    Attributes:
        language: its code.
        texts: by key; values hold {placeholders}.
    """

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text, with values in its placeholders.

        Raises:
            KeyError: the catalogue has no such text, or the text wants a value that was not given.
        """
        return self.texts[key].format(**values)

    def told(self, sentence: str) -> str:
        """What a result says in English (a state, a note), in this language; as it is where the catalogue has no words.

        The English catalogue holds such sentences as results have them, under "told".
        """
        for key, pattern in _told_patterns():
            if found := pattern.fullmatch(sentence):
                return self(key, **found.groupdict())
        return sentence

    def __contains__(self, key: str) -> bool:
        return key in self.texts


@lru_cache
def wording(language: str) -> Wording:
    """The catalogue of a language.

    Raises:
        SettingError: there is none.
    """
    if language not in LANGUAGES:
        raise SettingError(f"there is no page in the language {language!r}", f"choose {' or '.join(LANGUAGES)}")
    content = files(__name__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return Wording(language, dict(_flat(tomllib.loads(content))))


@lru_cache
def _told_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """English sentences of results, their placeholders open."""
    found = []
    for key, text in wording("en").texts.items():
        if key.startswith("told."):
            parts = re.split(r"{(\w+)}", text)
            pattern = "".join(f"(?P<{part}>.+?)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
            found.append((key, re.compile(pattern)))
    return tuple(found)


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in table.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found
