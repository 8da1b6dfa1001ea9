"""The grid of a stress study: which jobs it has, what decides them, and how one clip becomes rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from clips import ArrayClip
from davis_folder import write_davis
from tiny import TINY, tiny_model
from tiny_families import use_tiny_families

from maskscope.data.davis import DavisDataset
from maskscope.errors import DatasetError, MaskscopeError
from maskscope.evaluate.protocol import evaluate_sequence
from maskscope.model.checkpoints import save_checkpoint
from maskscope.records import Record, read_records
from maskscope.studies import stress as stress_module
from maskscope.studies.clip_identity import clip_digest
from maskscope.studies.jobs import Job
from maskscope.studies.stress import StressOptions, run_stress, stress_jobs
from maskscope.studies.stress_clip import ModelSpec, Passage, stress_protocol
from maskscope.tracking.prompts import Prompt
from maskscope.transforms.base import ClipFrame, SourceClip

MODEL = ModelSpec("any", "0" * 64, "float32")
GRID = StressOptions(families=("tint", "cut"), severities=(1, 3))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clips of five frames, `cow` with two void pixels, and two families."""
    use_tiny_families(monkeypatch)
    return write_davis(tmp_path / "davis")


def digests(jobs: Sequence[Job]) -> set[str]:
    return {job.digest for job in jobs}


class TestGrid:
    def test_clean_clips_come_first_and_once(self, data: Path) -> None:
        labels = [job.label for job in stress_jobs(data, GRID, MODEL)]
        ends = ("clean", "tint:1", "cut:1", "tint:3", "cut:3")
        assert labels == [f"{clip}, {end}" for end in ends for clip in ("cow", "dog")]
        with_zero = stress_jobs(data, replace(GRID, severities=(3, 0, 1, 1)), MODEL)
        assert [job.label for job in with_zero] == labels

    def test_a_larger_grid_holds_the_smaller_one(self, data: Path) -> None:
        small = stress_jobs(data, StressOptions(families=("cut",), severities=(1,), limit=1), MODEL)
        assert [job.label for job in small] == ["cow, clean", "cow, cut:1"]
        large = stress_jobs(data, replace(GRID, seeds=(0, 1), policies=("stock",)), MODEL)
        assert digests(small) < digests(large)

    @pytest.mark.parametrize(
        "other",
        [
            {"protocol": "all-frames"},
            {"image_size": (64, 64)},
            {"seeds": (1,)},
            {"severities": (2,)},
            {"families": ("tint/faint",)},
        ],
        ids=str,
    )
    def test_whatever_decides_a_result_names_it(self, data: Path, other: dict[str, Any]) -> None:
        one = StressOptions(families=("tint",), severities=(1,), sequences=("dog",))
        model = replace(MODEL, image_size=other.get("image_size"))
        before, after = stress_jobs(data, one, MODEL)[1], stress_jobs(data, replace(one, **other), model)[1]
        assert before.digest != after.digest

    def test_material_decides_transformed_clips_only(self, data: Path, tmp_path: Path) -> None:
        clean, changed = stress_jobs(data, replace(GRID, severities=(1,), families=("tint",), limit=1), MODEL)
        lent = replace(GRID, severities=(1,), families=("tint",), limit=1, material=data)
        assert [job.digest == before for job, before in zip(
            stress_jobs(data, lent, MODEL), (clean.digest, changed.digest), strict=True
        )] == [True, False]  # fmt: skip

    def test_another_place_is_the_same_another_pixel_is_not(self, data: Path, tmp_path: Path) -> None:
        elsewhere = write_davis(tmp_path / "moved" / "copy")
        before = stress_jobs(data, GRID, MODEL)
        assert digests(stress_jobs(elsewhere, GRID, MODEL)) == digests(before)
        frame = elsewhere / "JPEGImages" / "480p" / "dog" / "00002.jpg"
        frame.write_bytes((elsewhere / "JPEGImages" / "480p" / "dog" / "00003.jpg").read_bytes())
        assert len(digests(stress_jobs(elsewhere, GRID, MODEL)) & digests(before)) == len(before) // 2

    def test_a_clip_without_files_is_told_by_its_pixels(self, data: Path) -> None:
        sequence = DavisDataset(data)["cow"]
        shown = SimpleNamespace(num_frames=5, frame=sequence.frame, object_masks=sequence.object_masks)
        assert clip_digest(shown) == clip_digest(shown) != clip_digest(sequence)  # type: ignore[arg-type]
        shorter = SimpleNamespace(num_frames=4, frame=sequence.frame, object_masks=sequence.object_masks)
        assert clip_digest(shorter) != clip_digest(shown)  # type: ignore[arg-type]

    def test_long_clips_come_with_their_severity_and_have_their_length(self, data: Path) -> None:
        long = replace(GRID, families=("tint",), limit=1, long_frames=700)
        jobs = stress_jobs(data, long, MODEL)
        assert [(job.label, job.size) for job in jobs] == [
            ("cow, clean", 5),
            ("cow, tint:1", 5),
            ("cow, long-700:1", 700),
            ("cow, tint:3", 5),
            ("cow, long-700:3", 700),
        ]
        longer = stress_jobs(data, replace(long, long_frames=701), MODEL)
        assert len(digests(jobs) & digests(longer)) == 3
        with pytest.raises(MaskscopeError, match="no room for an absence of 32; give 243"):
            stress_jobs(data, replace(long, long_frames=242), MODEL)

    def test_made_up_clips_need_no_files_and_are_not_drawn_to_be_told_apart(self) -> None:
        jobs = stress_jobs("drawn:3", StressOptions(families=(), long_frames=900, severities=(2,)), MODEL)
        clips = [f"drawn-0{number}" for number in (1, 2, 3)]
        assert [job.label for job in jobs] == [f"{clip}, {end}" for end in ("clean", "long-900:2") for clip in clips]
        assert len(digests(jobs)) == 6

    @pytest.mark.parametrize(
        ("wrong", "problem"),
        [
            ({"families": ("tint", "rain")}, "no family of transformations is called 'rain'"),
            ({"families": ("tint:3",)}, "family 'tint:3' has a severity or seed; give those with --severities"),
            ({"severities": (6,)}, r"severity 6 .* out of range; expected 0 .* to 5"),
            ({"seeds": (-1,)}, "seed -1 of tint is negative"),
            ({"policies": ("stork",)}, r"no memory policy is called 'stork'; did you mean stock"),
            ({"protocol": "davos"}, "protocol 'davos' is unknown; the known ones: davis"),
            ({"limit": 0}, "a limit of 0 leaves no sequence"),
            ({"sequences": ("cat",)}, "cat"),
        ],
    )
    def test_mistakes_are_told_before_anything_is_computed(
        self, data: Path, wrong: dict[str, Any], problem: str
    ) -> None:
        with pytest.raises(MaskscopeError, match=problem):
            stress_jobs(data, replace(GRID, **wrong), MODEL)


class Pointing:
    """A tracker that repeats the masks it was given."""

    def __init__(self) -> None:
        self.model = SimpleNamespace(config=replace(TINY, follow_aspect=False))
        self.session = SimpleNamespace(tracks={})  # nothing is remembered
        self.given: dict[int, np.ndarray] = {}
        self.told: list[list[int]] = []

    def step(self, image: np.ndarray, prompts: Sequence[Prompt] = ()) -> Any:
        self.told.append([prompt.object_id for prompt in prompts])
        self.given |= {prompt.object_id: np.asarray(prompt.mask) for prompt in prompts}
        logits = torch.tensor(np.stack([np.where(mask, 1.0, -1.0) for mask in self.given.values()]))
        return SimpleNamespace(
            object_ids=tuple(self.given), mask_logits_nhw=logits, object_score_logits=np.full(len(self.given), 2.5)
        )


def clip_of(*labels: np.ndarray) -> ArrayClip:
    return ArrayClip("made", tuple(np.zeros((*one.shape, 3), np.uint8) for one in labels), labels)


def frame(**boxes: int) -> np.ndarray:
    """A label map 64x64 of squares of 16 pixels: object 1 left, object 2 right, 255 in the corner."""
    labels = np.zeros((64, 64), np.uint8)
    labels[20:36, 4 : 4 + boxes.get("left", 0)] = 1
    labels[20:36, 40 : 40 + boxes.get("right", 0)] = 2
    labels[: boxes.get("void", 0), : boxes.get("void", 0)] = 255
    return labels


class TestPassage:
    def walk(self, *labels: np.ndarray) -> tuple[Passage, Pointing, list[tuple[np.ndarray, np.ndarray]]]:
        tracker = Pointing()
        passage = Passage(clip_of(*labels), tracker, lambda: None)  # type: ignore[arg-type]
        return passage, tracker, list(passage.frames())

    def test_each_object_is_given_when_it_is_first_shown(self) -> None:
        labels = [frame(void=3), frame(left=16), frame(left=16), frame(right=16), frame(left=9, right=16)]
        passage, tracker, seen = self.walk(*labels)
        assert tracker.told == [[1], [], [2], []], "nothing is tracked before something is given"
        assert passage.given == {1: (1, 256), 2: (3, 256)}
        assert not seen[0][0].any()
        assert (seen[2][0] == labels[1]).all()
        assert [sorted(scores) for scores in passage.scores] == [[], [1], [1], [1, 2], [1, 2]]
        assert (seen[0][1] == labels[0]).all(), "void stays void"

    def test_what_is_too_small_to_be_seen_is_given_later_and_void_until_then(self) -> None:
        labels = [frame(left=16), frame(left=16, right=16), frame(left=16, right=16)]
        labels[0][50, 50] = 2  # one pixel, at the model's 128x128 two: it is seen
        tiny = SimpleNamespace(config=replace(TINY, image_size=(16, 16), follow_aspect=False))
        tracker = Pointing()
        tracker.model = tiny
        passage = Passage(clip_of(*labels), tracker, lambda: None)  # type: ignore[arg-type]
        seen = list(passage.frames())
        assert passage.given[2] == (1, 256)
        assert seen[0][1][50, 50] == 255
        assert (seen[0][1] == 2).sum() == 0
        assert (seen[1][1] == labels[1]).all()
        assert self.walk(*labels)[0].given[2] == (0, 1)

    def test_a_clip_that_shows_nothing_is_refused(self) -> None:
        with pytest.raises(DatasetError, match=r"no frame of made shows an object that can be given; take a milder"):
            self.walk(frame(), frame(void=9))

    def test_its_rows_say_when_and_how_sure_and_how_hard(self) -> None:
        def record(**row: Any) -> Record:
            return Record(run="r", clip="made", **row)

        @dataclass(frozen=True)
        class Strong:
            clip: ArrayClip
            name: str = "made"
            num_frames: int = 3

            def at(self, index: int) -> ClipFrame:
                strength = (0.5, float("nan"), 0.0)[index]
                shown = replace(self.clip.at(index), source_time=None if index == 1 else index / 2)
                return shown.with_strength(strength)

        passage = Passage(Strong(clip_of(*[frame(left=16)] * 3)), Pointing(), lambda: None)  # type: ignore[arg-type]
        list(passage.frames())
        rows = list(passage.records(record, (1, 2), transformed=True))
        told = [(row.metric, row.frame, row.object, row.value, row.state) for row in rows]
        assert told[:2] == [("prompt_px", 0, 1, 256.0, None), ("prompt_px", None, 2, None, "never shown")]
        assert told[2:5] == [("object_score_logit", t, 1, 2.5, None) for t in range(3)]
        assert told[5:] == [
            ("strength", 0, None, 0.5, None),
            ("source_time", 0, None, 0.0, None),
            ("strength", 1, None, None, "undefined"),
            ("source_time", 1, None, None, "foreign"),
            ("strength", 2, None, 0.0, None),
            ("source_time", 2, None, 1.0, None),
        ]
        assert [row.metric for row in passage.records(record, (), transformed=False)] == ["object_score_logit"] * 3


class TestProtocol:
    def test_where_all_is_shown_from_the_start_it_is_the_benchmarks_own(self) -> None:
        rng = np.random.default_rng(3)
        truths = [frame(left=16, right=16), *(frame(left=int(n), right=16) for n in rng.integers(0, 16, 5))]
        guesses = [np.roll(labels, 2, axis=1) for labels in truths]
        own, ours = (evaluate_sequence(guesses, truths, rules) for rules in ("davis", stress_protocol("davis")))
        assert ours.object_ids == own.object_ids == (1, 2)
        assert (ours.region == own.region).all()
        assert (ours.boundary == own.boundary).all()

    def test_an_object_counts_after_the_frame_that_gives_it_and_void_never(self) -> None:
        truths = [frame(left=16), frame(left=16, void=20), frame(left=16, right=16), frame(right=16), frame(right=16)]
        guesses = [labels.copy() for labels in truths]
        guesses[1][guesses[1] == 255] = 1
        score = evaluate_sequence(guesses, truths, stress_protocol("davis"))
        assert [each.frames.tolist() for each in score.objects] == [[1, 2, 3], [3]]
        assert score.j.mean == 1.0


class TestRun:
    def test_rows_say_under_which_conditions(self, data: Path, tmp_path: Path) -> None:
        save_checkpoint(tiny_model(), tmp_path / "small.safetensors")
        options = StressOptions(
            model=str(tmp_path / "small.safetensors"), families=("cut",), severities=(2,), seeds=(7,), limit=1,
            precision="float32", device="cpu",
        )  # fmt: skip
        summary = run_stress(data, tmp_path / "out", options, command=["maskscope", "stress"])
        assert (summary.jobs.computed, summary.jobs.failed) == (2, {})
        clean, cut = (read_records(path) for path in summary.jobs.files)
        assert {(row.clip, row.model, row.policy, row.family, row.severity) for row in clean} == {
            ("cow", "small", "stock", "", 0)
        }
        assert {(row.transform, row.family, row.severity, row.seed) for row in cut} == {("cut:2@7", "cut", 2, 7)}
        assert {row.run for row in cut} == {summary.jobs.files[1].stem}
        said = json.loads(cut[0].provenance)
        assert (said["precision"], said["device"], len(said["weights_sha256"])) == ("float32", "cpu", 64)
        assert {row.protocol for row in cut if row.metric == "j"} == {"davis-stress"}
        scored = {(row.object, row.frame) for row in cut if row.metric == "outcome"}
        assert scored == {(number, t) for number in (1, 2) for t in range(1, 6)}, "seven frames but the first and last"
        assert [row.value for row in cut if row.metric == "strength"][-1] == 2.0
        assert read_records(tmp_path / "out" / "records.parquet") == [*clean, *cut]
        assert [row.family for row in summary.rows] == ["", "cut", "cut"]

    def test_a_folder_keeps_the_precision_it_was_begun_with(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save_checkpoint(tiny_model(), tmp_path / "small.safetensors")
        options = StressOptions(model=str(tmp_path / "small.safetensors"))
        monkeypatch.setattr(stress_module, "preferred_dtype", lambda device: torch.bfloat16)
        first = stress_module._model(options, {})
        assert first.precision == "bfloat16"
        (tmp_path / "stress.json").write_text(
            json.dumps({"request": {"model": {"sha256": first.digest, "precision": "float32"}}})
        )
        earlier = stress_module._earlier(tmp_path)
        assert stress_module._model(options, earlier).precision == "float32"
        assert stress_module._model(replace(options, precision="bfloat16"), earlier).precision == "bfloat16"
        assert stress_module._model(options, earlier | {"sha256": "another"}).precision == "bfloat16"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("compact", "compact"),
        ("facebook/sam2.1-hiera-tiny", "sam2.1-hiera-tiny"),
        ("/some/where/best.safetensors", "best"),
        ("sam2.1_hiera_tiny.pt", "sam2.1_hiera_tiny"),
    ],
)
def test_a_model_is_called_by_its_name_not_its_place(name: str, label: str) -> None:
    assert replace(MODEL, name=name).label == label


def test_a_clip_can_be_read_from_any_layout(tmp_path: Path) -> None:
    """Annotated frames are the clip; a source clip of them says what void is."""
    from maskscope.studies.stress_clip import DatasetSpec

    write_davis(tmp_path)
    clip = DatasetSpec(tmp_path, "davis").clip("cow")
    assert isinstance(clip, SourceClip)
    void = clip.at(1).void_hw
    assert void is not None
    assert void.sum() == 2
