"""Packages that only some commands need: asked for when they are used, missed in one line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from maskscope.errors import SettingError


def load_extra(module: str, extra: str, purpose: str) -> Any:
    """An optional package's module.

    Args:
        module: such as "pyarrow.parquet".
        extra: of this package, that installs it.
        purpose: what it is needed for, as the subject of "need".

    Raises:
        SettingError: it is not installed, or cannot be loaded here.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package
        state = "is not installed" if missing else f"cannot be loaded ({error})"
        raise SettingError(f"{purpose} need {package}, which {state}", f"pip install 'maskscope[{extra}]'") from error
