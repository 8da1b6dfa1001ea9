"""The labelling experiment on a tiny case: choices, resuming, the digest, and its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from track_cases import make_weights

import labelling
from _job_record import JobRecord
from _labelling import FirstFrames, random, uniform
from _labelling_page import OURS, digest, needed, page
from _marked import write_marked
from benchmark_run import refusal, run
from maskscope.errors import OutputError, RecordError
from maskscope.studies.drawn_clips import DrawnDataset


def clips(*lengths: int) -> list[FirstFrames]:
    drawn = DrawnDataset(len(lengths), labelling.DRAWN)
    return [FirstFrames(each, n) for each, n in zip(drawn, lengths, strict=True)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 30])
def test_choices_are_distinct_frames_as_many_as_there_are(count: int) -> None:
    for some in (clips(6), clips(6, 12)):
        room = sum(clip.num_frames - 1 for clip in some)
        for chosen in (uniform(some, count), random(some, count, 1)):
            assert all(chosen[clip.name][0] == 0 for clip in some)
            assert all(set(chosen[clip.name]) <= set(range(clip.num_frames)) for clip in some)
            assert sum(len(set(frames)) - 1 for frames in chosen.values()) == min(count, room)
    assert set(random(clips(12), 3, 0)["drawn-01"]) < set(random(clips(12), 5, 0)["drawn-01"])
    assert uniform(clips(12), 1) == {"drawn-01": [0, 8]}


def test_labels_needed_lie_on_the_line_between() -> None:
    curve = {0: 0.5, 2: 0.7, 4: 0.65, 8: 0.9}
    assert needed(curve, 0.6) == pytest.approx(1.0)
    assert needed(curve, 0.8) == pytest.approx(6.4)
    assert needed(curve, 0.4) == 0
    assert needed(curve, 0.95) is None


def test_the_digest_pairs_clips_and_tells_what_is_saved() -> None:
    def scores(*values: float) -> dict[int, dict[str, float]]:
        return {
            n: {"a": v, "b": v + 0.1, **({"c": v} if n < 2 else {})} for n, v in zip((0, 1, 2), values, strict=True)
        }

    found = digest({OURS: scores(0.5, 0.7, 0.8), "random": scores(0.5, 0.6, 0.7)})
    assert found["clips"] == ["a", "b"], "only what all were tried on"
    assert found["curves"]["random"] == {"0": 0.55, "1": 0.65, "2": 0.75}
    gain = found["label_next_less"]["random"]
    assert gain["1"]["estimate"] == pytest.approx(0.1)
    assert gain["all"]["low"] == pytest.approx(0.1)
    assert [round(one["needed"], 3) for one in found["saved"]] == [0.5, 1.0]
    asked = {
        "use": "prompts",
        "image_size": [64, 96],
        "model": "m",
        "precision": "float32",
        "seeds": 2,
        "labels": [1, 2],
    }
    text = page({"digest": found, "request": asked, "command": "python x"})
    assert "| label-next | 55.0 | 75.0 | 85.0 |" in text
    assert "| random, J&F 75.0 | 2 | 1.0 [1.0, 1.0] |" in text


def test_a_tiny_case_stops_goes_on_and_is_written_into_a_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, record = make_weights(tmp_path / "untrained.safetensors"), tmp_path / "labelling.json"
    words = ["--drawn", "1", "--max-frames", "4", "--labels", "1", "9", "--seeds", "2", "--json", str(record)]
    words += ["--model", str(weights), "--image-size", "64x96"]
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, labelling, *words, "--minutes", "0")
    assert "no clip is complete yet" in capsys.readouterr().err
    calls: list[str] = []
    add = JobRecord.add

    def stop_after_four(self: JobRecord, name: str, result: object) -> None:
        calls.append(name)
        add(self, name, result)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(JobRecord, "add", stop_after_four)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, labelling, *words)
    mark = tmp_path / "page.md"
    mark.write_text("before\n<!-- table: labelling prompts -->\nold\n<!-- end -->\nafter\n")
    run(monkeypatch, labelling, *words, "--write", str(mark))
    assert len(calls) == len(set(calls)) == 1 + 2 * 5, "nothing is computed twice"
    text = mark.read_text()
    assert text.startswith("before\n<!-- table: labelling prompts -->\nOver 1 clips (drawn-01)")
    assert text.endswith("<!-- end -->\nafter\n")
    content = json.loads(record.read_text())
    assert content["digest"]["curves"]["random"]["9"] == 1.0, "every frame is labelled"
    assert str(tmp_path) not in content["command"]
    run(monkeypatch, labelling, "--page", "--json", str(record))
    assert "holds results of another clips" in refusal(monkeypatch, capsys, labelling, *words, "--drawn", "2")


def test_labels_to_fine_tune_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights, record = make_weights(tmp_path / "untrained.safetensors"), tmp_path / "labelling.json"
    run(
        monkeypatch, labelling, "--drawn", "2", "--max-frames", "6", "--labels", "2", "--seeds", "1",
        "--json", str(record), "--model", str(weights), "--image-size", "64x96",
        "--use", "finetune", "--steps", "1", "--frames", "2",
    )  # fmt: skip
    content = json.loads(record.read_text())
    assert len(content["jobs"]) == 4
    chosen = content["jobs"]["all clips, uniform, 2 labels, seed 0"]["frames"]
    assert sorted(chosen) == ["drawn-01", "drawn-02"]
    assert all(frames[0] == 0 and frames[1] < 4 for frames in chosen.values()), "of the first two thirds"
    assert set(content["digest"]["curves"]) == {"label-next", "uniform", "random"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "there are no clips; give --held-out DATA"),
        (("--held-out", "nowhere"), "nowhere lacks video/davis_train/dog-agility"),
        (("--drawn", "1", "--labels", "0"), "whole numbers of 1 or more"),
        (("--page", "--json", "none.json"), "there is no none.json"),
    ],
)
def test_mistakes_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], problem: str
) -> None:
    assert problem in refusal(monkeypatch, capsys, labelling, *words)


def test_a_damaged_record_and_a_page_without_marks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("{")
    with pytest.raises(RecordError, match="is no record of a benchmark"):
        JobRecord(path, "labelling", {})
    with pytest.raises(OutputError, match="lacks <!-- table: x -->"):
        write_marked(path, "x", "text")
