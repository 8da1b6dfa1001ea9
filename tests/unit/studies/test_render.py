"""Lines in order of frames, whatever order they were written in."""

from __future__ import annotations

import json
from pathlib import Path

from maskscope.studies.render import sort_records


def test_lines_are_sorted_into_another_file(tmp_path: Path) -> None:
    written = [(5, 1), (5, 2), (12, 1), (4, 2), (4, 1), (0, 1)]
    lines = [json.dumps({"frame": frame, "object": number, "pad": "x" * frame}) + "\n" for frame, number in written]
    source, target = tmp_path / "masks.jsonl", tmp_path / "sorted"
    source.write_text("".join(lines))
    sort_records(source, target)
    assert source.read_text() == "".join(lines)
    order = [5, 3, 4, 0, 1, 2]  # objects of a frame keep theirs
    assert target.read_text() == "".join(lines[place] for place in order)
