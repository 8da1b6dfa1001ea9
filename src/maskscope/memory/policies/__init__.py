"""Memory policies by name; a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from maskscope.errors import SettingError
from maskscope.memory.policies.stock import StockPolicy
from maskscope.memory.policy import MemoryPolicy
from maskscope.model.config import MemoryConfig

PolicyFactory = Callable[[MemoryConfig], MemoryPolicy]

POLICIES: Final[dict[str, PolicyFactory]] = {"stock": StockPolicy}


def policy_factory(name: str) -> PolicyFactory:
    """The policy called `name`.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in POLICIES:
        raise SettingError(f"no memory policy is called {name!r}", f"choose one of {', '.join(POLICIES)}")
    return POLICIES[name]
