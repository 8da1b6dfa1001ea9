"""The recorded runs of the official code, all of them: features, logits, masks, pointers and scores."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from _golden_cases import Case, find_cases, preset_name, read_case
from conftest import shared_folder
from maskscope.errors import DatasetError
from maskscope.memory.bank import MemoryBank
from maskscope.memory.policy import Candidates, Moment
from maskscope.model import PRESETS
from maskscope.model.fit import expected_shapes
from maskscope.tracking.observer import Observation

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "golden.py"
KNOWN_CASES = {
    "sam2.1_tiny_box_and_mask_two_objects",
    "sam2.1_tiny_mask",
    "sam2.1_tiny_points",
    "sam2.1_tiny_reverse",
    "sam2_tiny_mask",
}


def cases_here() -> list[Path]:
    """All cases of the reference data; where there is none, those that should be there, to be skipped by name."""
    folder = shared_folder()
    try:
        return find_cases(folder / "golden") if folder else [Path(f"{name}.json") for name in sorted(KNOWN_CASES)]
    except DatasetError:
        return []  # `test_no_case_is_missing` says so


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    """The benchmark, which is a program and no part of the package."""
    spec = importlib.util.spec_from_file_location("golden_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def two_threads(threads_as_before: None) -> None:
    """On one, sums run in another order, and candidates whose predicted IoUs are 1e-4 apart change places."""
    torch.set_num_threads(2)


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute alone on two cores
@pytest.mark.parametrize("path", cases_here(), ids=lambda path: path.stem)
def test_agrees_with_the_official_code(golden: ModuleType, shared: Path, path: Path) -> None:
    case = read_case(path)
    compared = golden.compare_case(case, shared / "davis2016", shared / "golden" / "checkpoint_manifests.json")
    assert {c.key for c in compared} == set(case.arrays), "every array of the case is compared"
    failed = [f"{c.key}: {c.difference:.5f}, allowed {c.tolerance}" for c in compared if not c.passed]
    assert not failed, "\n".join(failed)


def test_no_case_is_missing(shared: Path) -> None:
    assert {path.stem for path in find_cases(shared / "golden")} >= KNOWN_CASES


# -- the comparison itself, without the reference data ------------------------------------------------------------


def packed(*masks: list[list[int]]) -> np.ndarray:
    return np.packbits(np.array(masks, dtype=bool), axis=-1)


def test_differences(golden: ModuleType) -> None:
    a, b = np.array([0.0, 1.0, -2.0]), np.array([0.0, 1.5, -1.9])
    assert golden.difference("step0_f0_low_res_logits", a, b, 8) == 0.5
    assert golden.difference("step0_f0_low_res_logits", a, b[:2], 8) == float("inf")
    assert np.isnan(golden.difference("stage_x", a, np.array([0.0, np.nan, 0.0]), 8))
    empty, one, two = [[0] * 9], [[1] + [0] * 8], [[1] * 2 + [0] * 7]
    assert golden.difference("step0_f0_video_mask", packed(one, two), packed(one, one), 9) == 0.5
    assert golden.difference("step0_f0_video_mask", packed(empty), packed(empty), 9) == 0.0
    assert golden.difference("step0_f0_video_mask", packed(empty), packed(one), 9) == 1.0


def test_masks_may_differ_only_where_logits_are_noise(golden: ModuleType) -> None:
    ours, theirs = packed([[1, 1, 0, 0]]), packed([[1, 0, 0, 0]])
    noise = np.array([[[False, True, False, False]]])
    key = "step0_f0_video_mask"
    assert golden.difference(key, ours, theirs, 4) == 0.5
    assert golden.difference(key, ours, theirs, 4, noise) == 0.0
    assert golden.difference(key, ours, theirs, 4, ~noise) == 1.0
    assert golden.Comparison(key, 0.5, 0.0).passed
    assert not golden.Comparison(key, 0.0, 0.5).passed


@pytest.mark.parametrize(("second", "recorded", "taken"), [(0.4998, 1, 1), (0.4998, 0, 0), (0.49, 1, 0)])
def test_only_ties_are_decided_as_recorded(golden: ModuleType, second: float, recorded: int, taken: int) -> None:
    masks = torch.stack([torch.zeros(4, 4), torch.ones(4, 4), torch.full((4, 4), 2.0)])
    policy = golden.AsRecorded(PRESETS["sam2.1-hiera-tiny"].memory, lambda _: masks[recorded][None].numpy())
    seen = Candidates(3, masks, (0.5, second, 0.1), 1.0, torch.zeros(1, 1, 1))
    assert policy.choose_mask(seen, MemoryBank(), Moment(3)) == taken
    unknown = golden.AsRecorded(PRESETS["sam2.1-hiera-tiny"].memory, lambda _: None)
    assert unknown.choose_mask(seen, MemoryBank(), Moment(3)) == 0


@pytest.mark.parametrize(
    ("key", "difference", "passed"),
    [
        ("step1_f3_o1_pointer", 0.02, True),
        ("step1_f3_o1_pointer", 0.0201, False),
        ("step1_f3_video_mask", 0.002, True),
        ("step1_f3_video_mask", 0.0021, False),
        ("stage_memory_features", float("nan"), False),
        ("stage_memory_features", float("inf"), False),
    ],
)
def test_tolerances(golden: ModuleType, key: str, difference: float, passed: bool) -> None:
    assert golden.Comparison(key, difference).passed is passed


def test_kinds_and_their_worst(golden: ModuleType) -> None:
    compared = [
        golden.Comparison("step2_f10_o7_pointer", 0.5),
        golden.Comparison("step2_f0_o-3_pointer", 0.7),
        golden.Comparison("step0_prompt_logits", float("nan")),
        golden.Comparison("step1_prompt_logits", 9.0),
        golden.Comparison("stage_image_embedding", 0.0),
    ]
    worst = {kind: (count, c.key) for kind, (count, c) in golden.worst_by_kind(compared).items()}
    assert worst == {
        "pointer": (2, "step2_f0_o-3_pointer"),
        "prompt_logits": (2, "step0_prompt_logits"),
        "stage_image_embedding": (1, "stage_image_embedding"),
    }


@pytest.mark.parametrize(
    ("config", "preset"),
    [
        ("sam2.1/sam2.1_hiera_t", "sam2.1-hiera-tiny"),
        ("sam2.1/sam2.1_hiera_b+", "sam2.1-hiera-base-plus"),
        ("configs/sam2/sam2_hiera_s.yaml", "sam2-hiera-small"),
        ("sam2_hiera_l", "sam2-hiera-large"),
    ],
)
def test_configurations(config: str, preset: str) -> None:
    assert preset_name(config) == preset


CASE = {
    "config": "sam2.1/sam2.1_hiera_t",
    "sequence": "dog",
    "frames": [0],
    "steps": [{"op": "points", "frame": 0, "object": 1, "points": [[3, 4]], "labels": [1]}],
    "video_height": 480,
    "video_width": 854,
}


def write_case(folder: Path, name: str = "case", **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez(folder / f"{name}.npz", step0_prompt_logits=np.zeros((1, 120, 214), dtype=np.float32))
    (folder / f"{name}.json").write_text(json.dumps({**CASE, **changes}), encoding="utf-8")
    return folder / f"{name}.json"


@pytest.mark.parametrize(("given", "read"), [(None, None), (512, (512, 512)), ([288, 512], (288, 512))])
def test_size_of_the_input(tmp_path: Path, given: object, read: object) -> None:
    assert read_case(write_case(tmp_path, image_size=given)).image_size == read
    assert read_case(write_case(tmp_path)).image_size is None


def test_the_size_of_the_input_reaches_the_model(golden: ModuleType, tmp_path: Path) -> None:
    preset = "sam2.1-hiera-tiny"
    (tmp_path / "golden_weights.py").write_text(
        "import numpy as np\ndef golden_state(shapes):\n"
        "    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}\n"
    )
    manifests = tmp_path / "names.json"
    manifests.write_text(json.dumps({preset: expected_shapes(PRESETS[preset], "official")}))
    for size, expected in ((None, (1024, 1024)), ((288, 512), (288, 512))):
        assert golden.golden_model(tmp_path, manifests, preset, None, size).config.image_size == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fill_holes": True}, r"the case has fill_holes; known: .*image_size"),
        ({"steps": [{"op": "propagate", "max_frames": 3}]}, "step 0 has max_frames; known: op, reverse, start"),
        ({"steps": [{"op": "remove", "object": 1}]}, "step 0 is 'remove'; known: mask, points, box, propagate"),
        ({"steps": [{"object": 1}]}, r"does not describe a case \(KeyError\('op'\)\)"),
        ({"image_size": [1, 2, 3]}, "does not describe a case"),
        ({"config": "sam3/sam3_hiera_t"}, "'sam3/sam3_hiera_t' is not a released one"),
    ],
)
def test_a_case_with_something_unknown_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_case(write_case(tmp_path, **changes))


def test_what_is_no_case_is_passed_over_and_what_is_broken_is_not(tmp_path: Path) -> None:
    write_case(tmp_path, "whole")
    for name, text in (("table", '{"F": [1.0]}'), ("broken", '{"config": '), ("alone", json.dumps(CASE))):
        (tmp_path / f"{name}.json").write_text(text)
        if name != "alone":
            np.savez(tmp_path / f"{name}.npz", F=np.zeros(1))
    assert [path.stem for path in find_cases(tmp_path)] == ["broken", "whole"]
    with pytest.raises(DatasetError, match="does not describe a case"):
        read_case(tmp_path / "broken.json")


def test_without_cases_the_exit_code_is_2(
    golden: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*more: str) -> tuple[int, str]:
        code = golden.main(["--cases", str(tmp_path / "cases"), "--davis", str(tmp_path), *more])
        return code, capsys.readouterr().err

    assert run() == (2, f"error: {tmp_path / 'cases'} is no folder; give the folder with the cases "
                        "(*.json beside *.npz)\n")  # fmt: skip
    (tmp_path / "cases").mkdir()
    assert run()[0] == 2
    write_case(tmp_path / "cases")
    assert run("--only", "other") == (2, "error: no case is called 'other'; there are case\n")
    with pytest.raises(SystemExit) as stopped:
        golden.main([])
    assert stopped.value.code == 2


def test_a_case_that_fails_does_not_stop_the_others(
    golden: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case(tmp_path, "a_unreadable", colour="red")
    write_case(tmp_path, "b_without_weights")
    write_case(tmp_path, "c_broken")
    write_case(tmp_path, "d_good")
    compare = golden.compare_case

    def compare_case(case: Case, *arguments: object) -> object:
        if case.name == "c_broken":
            raise RuntimeError("no such kernel")
        return [golden.Comparison("stage_x", 0.0)] if case.name == "d_good" else compare(case, *arguments)

    monkeypatch.setattr(golden, "compare_case", compare_case)
    assert golden.main(["--cases", str(tmp_path), "--davis", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "the case has colour" in said
    assert "golden_weights.py is missing" in said
    assert "RuntimeError('no such kernel')" in said
    assert said.endswith("1 of 4 cases agree; not: a_unreadable, b_without_weights, c_broken\n")


def test_an_embedding_counts_where_something_was_decoded(golden: ModuleType) -> None:
    """A prompted frame that a propagation repeats is not encoded by the official code."""
    run = golden.Run.__new__(golden.Run)  # without frames and model
    run.latest, run.encoded = {}, None
    run.tracker = SimpleNamespace(session=SimpleNamespace(tracks={1: None}))
    for stage, frame, ids in (
        ("image_embedding", 4, ()),
        ("memory_conditioned", 4, (1,)),
        ("prompt_attended", 4, (1,)),
        ("image_embedding", 5, ()),
    ):
        run.note(Observation(stage, frame, ids, torch.zeros(1)))
    assert {stage: seen.frame_index for stage, seen in run.latest.items()} == {
        "image_embedding": 4,
        "memory_conditioned": 4,
        "prompt_attended": 4,
    }


def test_a_difference_is_exit_code_1(
    golden: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case(tmp_path)
    arguments = ["--cases", str(tmp_path), "--davis", str(tmp_path)]
    for difference, code in ((0.019, 0), (0.021, 1), (float("inf"), 1)):
        compared = [golden.Comparison("step0_prompt_logits", difference)]
        monkeypatch.setattr(golden, "compare_case", lambda *_, found=compared: found)
        assert golden.main(arguments) == code
    monkeypatch.setattr(golden, "compare_case", lambda *_: [])
    assert golden.main(arguments) == 1, "nothing compared is no agreement"
    assert "BEYOND TOLERANCE" in capsys.readouterr().out
