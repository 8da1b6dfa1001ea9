"""Which precision: what wins, told from products small enough to be lost in a moment."""

from __future__ import annotations

import time

import pytest
import torch

from maskscope.errors import SettingError
from maskscope.model import precision

CPU = torch.device("cpu")


def products(monkeypatch: pytest.MonkeyPatch, ratios: dict[int, float]) -> list[int]:
    """bfloat16 is so many times as fast at each size; the list of sizes that were tried."""
    tried: list[int] = []

    def seconds(dtype: torch.dtype, side: int) -> float:
        tried.append(side)
        return 1.0 / ratios[side] if dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(precision, "_product_seconds", seconds)
    return tried


@pytest.mark.parametrize(("large", "expected"), [(4.0, torch.bfloat16), (1.2, torch.float32)])
def test_large_products_decide(monkeypatch: pytest.MonkeyPatch, large: float, expected: torch.dtype) -> None:
    products(monkeypatch, {256: 2.0, 1024: large})
    assert precision.preferred_dtype.__wrapped__(CPU) is expected


def test_where_small_ones_lose_no_large_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = products(monkeypatch, {256: 1 / 80})
    assert precision.preferred_dtype.__wrapped__(CPU) is torch.float32
    assert set(tried) == {256}


def test_it_takes_no_time_to_speak_of() -> None:
    begin = time.perf_counter()
    precision.preferred_dtype.__wrapped__(CPU)
    assert time.perf_counter() - begin < 5


def test_a_device_that_is_not_there_is_said_in_one_line() -> None:
    assert precision.chosen_device("cpu") == CPU
    assert precision.chosen_device(None) == precision.default_device()
    with pytest.raises(SettingError, match="device 'toaster' is not available") as caught:
        precision.chosen_device("toaster")
    assert "\n" not in str(caught.value)
