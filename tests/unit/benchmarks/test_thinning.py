"""The curve of token thinning runs, begins with everything, and its record is what the page shows."""

from __future__ import annotations

import json
from dataclasses import asdict

from labelled_clips import moving
from maskscope.report.policy_records import thinning_text
from planted import tiny_model
from thinning import MEMORY_FULL, curve, told


def test_shares_become_settings_of_the_policy() -> None:
    assert told("stock", 0.5) == "stock:thin=0.5"
    assert told("composite:verify=0.8", 0.25) == "composite:verify=0.8,thin=0.25"


def test_a_point_for_each_share_and_the_page_shows_them() -> None:
    clip = moving("walk", MEMORY_FULL + 5)
    whole, part = curve(tiny_model(), [clip], "stock", [1.0, 0.25])  # type: ignore[list-item]  # a stand-in
    assert (whole.share, part.share) == (1.0, 0.25)
    assert (whole.difference.estimate, whole.times_as_fast) == (0.0, 1.0)
    assert 0 <= part.j_and_f <= 1
    assert part.fps > 0
    facts = {
        "command": "python benchmarks/thinning.py --dataset DAVIS", "model": "compact", "policy": "stock",
        "clips": [clip.name], "device": "cpu", "threads": 1, "precision": "float32",
        "points": [asdict(whole), asdict(part)],
    }  # fmt: skip
    text = thinning_text(json.loads(json.dumps(facts)))
    assert f"| 1 | {100 * whole.j_and_f:.1f} |  | {whole.fps:.1f} | 1.000 |" in text
    assert text.splitlines()[-1].startswith(f"| 0.25 | {100 * part.j_and_f:.1f} | ")
