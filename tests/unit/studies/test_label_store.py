from __future__ import annotations

import numpy as np
import pytest

from maskscope.studies.label_store import LabelStore


def test_maps_come_back_from_a_file() -> None:
    store = LabelStore()
    for t in range(11):
        store.append(np.full((3, 5), t, np.uint8))
    found = LabelStore.from_bytes(store.to_bytes())
    assert len(found) == 11
    assert all(np.array_equal(found[t], store[t]) for t in range(11))


@pytest.mark.parametrize("content", [b"", b"PK of a kind", LabelStore().to_bytes()[:-9]])
def test_what_is_damaged_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        LabelStore.from_bytes(content)
