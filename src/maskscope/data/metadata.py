"""The JSON files in which YouTube-VOS and its kin list the objects of each video."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskscope.errors import DatasetError

Videos = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Video -> object -> what the file says of it."""


def find_metadata(root: Path) -> Path | None:
    """`meta.json` or `<split>_meta.json` of a folder; files of expressions and captions are passed over."""
    named = [path for path in sorted(root.glob("*_meta.json")) if "expression" not in path.name]
    return next((path for path in (root / "meta.json", *named) if path.is_file()), None)


def read_metadata(path: Path) -> Videos:
    """Objects of every video.

    Raises:
        DatasetError: not JSON, or not `{"videos": {name: {"objects": {number: {...}}}}}`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): {int(number): dict(facts) for number, facts in video["objects"].items()}
            for name, video in content["videos"].items()
        }
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror})", "check the path and its access rights") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} does not list objects of videos ({type(error).__name__}: {error})",
            'expected {"videos": {name: {"objects": {"1": {...}}}}}',
        ) from error
