"""`maskscope evaluate` on folders as people have them: whole ones, and ones that lack or add something."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from maskscope.cli.main import app
from maskscope.evaluate.boundary import boundary_f
from maskscope.records import read_facts, read_records

FRAMES, SIZE = 6, (48, 64)


def frame(*boxes: tuple[int, int, int]) -> np.ndarray:
    """A label map of 12x12 boxes of `(label, top, left)`."""
    labels = np.zeros(SIZE, dtype=np.uint8)
    for label, top, left in boxes:
        labels[top : top + 12, left : left + 12] = label
    return labels


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """`true`: two clips in the layout of DAVIS, whose dog leaves and comes back; `mine`: predictions two pixels off."""
    for index in range(FRAMES):
        dog = [(1, 10, 10 + index)] if index not in (2, 3) else []
        for root, shift in (("true/Annotations/480p", 0), ("mine", 2)):
            boxes = [(label, top, left + shift) for label, top, left in [*dog, (2, 30, 40)]]
            save(tmp_path / root / "dogs" / f"{index:05d}.png", frame(*boxes))
            save(tmp_path / root / "cat" / f"{index:05d}.png", frame((1, 20, 20 + shift)))
    return tmp_path


def by_object(folder: Path, to: Path) -> None:
    """The same masks in SA-V's layout."""
    for path in folder.rglob("*.png"):
        labels = np.array(Image.open(path))
        for number in (1, 2) if path.parent.name == "dogs" else (1,):
            save(to / path.parent.name / f"{number - 1:03d}" / path.name, (labels == number).astype(np.uint8))


@pytest.fixture
def run(data: Path) -> Callable[..., str]:
    """Run the command on `mine` and `true` and return what it prints."""

    def call(*words: str | Path, truth: str = "true") -> str:
        arguments = ["evaluate", str(data / "mine"), "--ground-truth", str(data / truth), *map(str, words)]
        result = CliRunner().invoke(app, arguments if "--jobs" in words else [*arguments, "--jobs", "1"])
        assert result.exit_code == 0, f"{result.exit_code}: {result.output} {result.exception!r}"
        return result.stdout

    return call


@pytest.fixture
def refused(data: Path) -> Callable[..., str]:
    """Run the command, expect it to refuse, and return its one line."""

    def call(*words: str | Path, predictions: str = "mine", truth: str = "true") -> str:
        arguments = ["evaluate", str(data / predictions), "--ground-truth", str(data / truth), "--jobs", "1"]
        result = CliRunner().invoke(app, [*arguments, *map(str, words)])
        assert result.exit_code == 2, f"{result.exit_code}: {result.output} {result.exception!r}"
        assert result.stdout == ""
        [line] = result.stderr.strip().splitlines()
        assert line.startswith("error: ")
        return line

    return call


class TestScores:
    def test_tables_and_files_agree_with_what_was_worked_out_by_hand(self, data: Path, run: Callable[..., str]) -> None:
        files = {kind: data / "out" / f"scores.{kind}" for kind in ("json", "csv", "parquet")}
        text = run(*(word for kind, path in files.items() for word in (f"--{kind}", path)))
        shifted_j = 120 / 168
        shifted_f = boundary_f(frame((1, 20, 22)), frame((1, 20, 20)))
        dog_j = (2 * shifted_j + 2) / 4  # frames 1 to 4, gone on two of them

        document = json.loads(files["json"].read_text(encoding="utf-8"))
        assert document["format"] == "maskscope.evaluation/1"
        assert document["protocol"]["name"] == "davis"
        assert [row["sequence"] for row in document["sequences"]] == ["cat", "dogs"]
        j = {(row["sequence"], row["object"]): row["j"] for row in document["objects"]}
        assert list(j) == [("cat", 1), ("dogs", 1), ("dogs", 2)]
        assert list(j.values()) == pytest.approx([shifted_j, dog_j, shifted_j])
        mean = document["mean"]
        assert mean["j"] == pytest.approx((2 * shifted_j + dog_j) / 3)
        assert mean["f"] == pytest.approx((2 * shifted_f + (2 * shifted_f + 2) / 4) / 3)
        assert mean["absence_detection"] == 1.0
        assert (mean["returns"], mean["recovered"], mean["latency_frames"]) == (1, 1.0, 0.0)
        assert f"mean           3   {mean['j_and_f']:.3f}   {mean['j']:.3f}" in text
        assert "frames" not in document

        rows = list(csv.DictReader(files["csv"].open(encoding="utf-8")))
        assert [(row["sequence"], int(row["object"]), float(row["j"])) for row in rows] == [(*key, j[key]) for key in j]
        records = read_records(files["parquet"])
        per_frame = [each.value for each in records if (each.clip, each.object, each.metric) == ("dogs", 1, "j")]
        assert per_frame == pytest.approx([shifted_j, 1, 1, shifted_j, dog_j])  # four frames, then the mean
        assert read_facts(files["parquet"])["protocol"] == "davis"

    def test_frames_on_request(self, data: Path, run: Callable[..., str]) -> None:
        run("--per-frame", "--csv", data / "frames.csv", "--sequences", "cat")
        rows = list(csv.DictReader((data / "frames.csv").open(encoding="utf-8")))
        assert [int(row["frame"]) for row in rows] == [1, 2, 3, 4]
        assert {row["outcome"] for row in rows} == {"hit"}

    def test_every_protocol_runs_and_names_itself(self, run: Callable[..., str]) -> None:
        for name in ("davis", "mose", "sav", "ytvos", "all-frames"):
            assert run("--protocol", name).startswith(f"{name}: ")
        mose = run("--protocol", "mose")
        assert "J&Fdot" in mose
        assert "gone" in mose
        assert "note: ytvos averages over seen and unseen categories" in run("--protocol", "ytvos")

    def test_lvos_goes_by_metadata(self, data: Path, run: Callable[..., str], refused: Callable[..., str]) -> None:
        assert "cat: protocol lvos counts each object from its own start" in refused("--protocol", "lvos")
        for index in range(6, 18):
            for root in ("true/Annotations/480p", "mine"):
                save(data / root / "cat" / f"{index:05d}.png", frame((1, 20, 20 + index)))
        objects = {"1": {"frame_range": {"start": "2", "end": "18", "frame_nums": "4"}}}  # 2, 7, 12, 17
        (data / "true" / "valid_meta.json").write_text(json.dumps({"videos": {"cat": {"objects": objects}}}))
        run("--protocol", "lvos", "--sequences", "cat", "--json", data / "lvos.json", "--per-frame")
        assert [row["frame"] for row in json.loads((data / "lvos.json").read_text())["frames"]] == [7, 12]

    def test_sa_v_s_layout_gives_the_same_numbers_as_label_maps(self, data: Path, run: Callable[..., str]) -> None:
        run("--protocol", "sav", "--json", data / "maps.json")
        by_object(data / "true", data / "sav" / "Annotations_6fps")
        run("--protocol", "sav", "--json", data / "folders.json", truth="sav")  # predictions are label maps still
        by_object(data / "mine", data / "mine-sav")
        shutil.rmtree(data / "mine")
        shutil.move(data / "mine-sav", data / "mine")
        run("--protocol", "sav", "--json", data / "both.json", truth="sav")
        contents = [json.loads((data / f"{name}.json").read_text()) for name in ("maps", "folders", "both")]
        assert contents[0]["objects"] == contents[1]["objects"] == contents[2]["objects"]
        assert len(contents[0]["objects"]) == 3

    def test_processes_change_nothing(self, data: Path, run: Callable[..., str]) -> None:
        assert run("--jobs", "2") == run("--jobs", "1")

    def test_single_object_merges(self, data: Path, run: Callable[..., str]) -> None:
        run("--single-object", "--json", data / "one.json")
        objects = json.loads((data / "one.json").read_text())["objects"]
        assert [(row["sequence"], row["object"]) for row in objects] == [("cat", 1), ("dogs", 1)]

    def test_official_numbers_of_a_published_method(self, shared: Path, tmp_path: Path) -> None:
        arguments = [
            "evaluate", shared / "golden" / "osvos", "--ground-truth", shared / "davis2016", "--protocol", "all-frames",
            "--sequences", "car-shadow", "--json", tmp_path / "scores.json", "--per-frame", "--jobs", 1,
        ]  # fmt: skip
        result = CliRunner().invoke(app, [str(word) for word in arguments])
        assert result.exit_code == 0, result.output
        frames = json.loads((tmp_path / "scores.json").read_text())["frames"]
        official = json.loads((shared / "golden" / "jf_osvos.json").read_text())["car-shadow"]
        np.testing.assert_allclose([row["j"] for row in frames], official["J"], rtol=0, atol=1e-9)
        np.testing.assert_allclose([row["f"] for row in frames], official["F"], rtol=0, atol=1e-9)


class TestWhatIsMissing:
    def test_davis_needs_neither_the_first_frame_nor_the_last(self, data: Path, run: Callable[..., str]) -> None:
        before = run()
        for index in (0, FRAMES - 1):
            (data / "mine" / "dogs" / f"{index:05d}.png").unlink()
        assert run() == before

    def test_a_frame(self, data: Path, refused: Callable[..., str], run: Callable[..., str]) -> None:
        (data / "mine" / "dogs" / "00002.png").unlink()
        for name in ("davis", "mose", "sav", "ytvos"):
            line = refused("--protocol", name)
            assert f"dogs: protocol {name} wants every frame that counts predicted, 1 of 6 are not" in line
            assert "use protocol all-frames" in line
        assert "note: dogs: 1 of 6 frames not predicted, counted as empty" in run("--protocol", "all-frames")

    def test_a_sequence(self, data: Path, refused: Callable[..., str], run: Callable[..., str]) -> None:
        shutil.rmtree(data / "mine" / "dogs")
        line = refused()
        assert "protocol davis wants every sequence predicted" in line
        assert "lacks 1 of 2: dogs; predict them, or name those to score with --sequences" in line
        run("--sequences", "cat")
        run("--protocol", "mose", "--json", data / "mose.json")
        assert {row["j"] for row in json.loads((data / "mose.json").read_text())["objects"][1:]} == {0.0}
        assert "note: dogs: not predicted, counted as empty" in run("--protocol", "all-frames")

    def test_an_object_s_folder(self, data: Path, refused: Callable[..., str]) -> None:
        by_object(data / "true", data / "sav")
        by_object(data / "mine", data / "folders")
        shutil.rmtree(data / "folders" / "dogs" / "001")
        line = refused("--protocol", "sav", predictions="folders", truth="sav")
        assert "dogs: protocol sav wants every frame that counts predicted, 4 of 6 are not" in line
        assert "object 2" in line

    def test_everything(self, data: Path, refused: Callable[..., str]) -> None:
        (data / "other" / "horse").mkdir(parents=True)
        assert "has masks of none of the sequences" in refused(predictions="other")
        assert "no such folder" in refused(predictions="nothing")
        assert "no such folder" in refused(truth="nothing")
        assert "has no masks of horse" in refused("--sequences", "horse")


def test_a_split_names_the_sequences(data: Path, run: Callable[..., str], refused: Callable[..., str]) -> None:
    (data / "true" / "JPEGImages" / "480p" / "cat").mkdir(parents=True)
    lists = data / "true" / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("cat\n", encoding="utf-8")
    shutil.rmtree(data / "mine" / "dogs")
    text = run("--split", "2017/val")
    assert "cat " in text
    assert "dogs" not in text
    assert "no such list of sequences" in refused("--split", "2017/test-dev")
    assert "no sequence is left to score" in refused("--split", "2017/val", "--sequences", "dogs")


class TestWhatIsTooMuch:
    def test_a_frame_is_ignored_and_said(self, data: Path, run: Callable[..., str]) -> None:
        shutil.copy(data / "mine" / "cat" / "00003.png", data / "mine" / "cat" / "00017.png")
        assert "note: 1 predicted frames without true mask ignored" in run()

    def test_a_sequence(self, data: Path, run: Callable[..., str], refused: Callable[..., str]) -> None:
        shutil.copytree(data / "mine" / "cat", data / "mine" / "horse")
        assert "note: predicted sequences without truth ignored: horse" in run()
        assert "protocol sav wants no sequence that truth lacks" in refused("--protocol", "sav")

    def test_an_object(self, data: Path, run: Callable[..., str], refused: Callable[..., str]) -> None:
        save(data / "mine" / "cat" / "00003.png", frame((1, 20, 20), (9, 0, 0)))
        assert "cat: frame 3 predicts label 9, which no true mask holds (they hold [1])" in refused()
        assert "note: cat: predicted object 9 is not in the truth, and ignored" in run("--protocol", "mose")


class TestBadFiles:
    def test_a_half_written_mask(self, data: Path, refused: Callable[..., str]) -> None:
        path = data / "mine" / "dogs" / "00003.png"
        path.write_bytes(path.read_bytes()[:-30])
        assert f"cannot read {path} as an image" in refused()

    def test_a_half_written_mask_in_another_process(self, data: Path) -> None:
        path = data / "mine" / "dogs" / "00003.png"
        path.write_bytes(b"")
        arguments = ["evaluate", str(data / "mine"), "--ground-truth", str(data / "true"), "--jobs", "2"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        [line] = result.stderr.strip().splitlines()
        assert f"cannot read {path}" in line

    def test_another_size(self, data: Path, refused: Callable[..., str]) -> None:
        save(data / "mine" / "cat" / "00002.png", frame((1, 20, 20))[:-1])
        line = refused()
        assert "error: cat: all masks have the first one's size (48, 64)" in line
        assert "resize predictions to the truth" in line

    def test_a_picture_in_colours(self, data: Path, refused: Callable[..., str]) -> None:
        save(
            data / "mine" / "cat" / "00002.png", np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
        )
        assert "expected an indexed or grey label map" in refused()


class TestResults:
    def test_files_are_not_overwritten_unasked(
        self, data: Path, run: Callable[..., str], refused: Callable[..., str]
    ) -> None:
        earlier = data / "scores.json"
        earlier.write_text('{"half": ', encoding="utf-8")
        assert f"{earlier} exists already" in refused("--json", earlier)
        assert earlier.read_text() == '{"half": '
        run("--json", earlier, "--overwrite")
        assert json.loads(earlier.read_text())["mean"]["objects"] == 3

    def test_parquet_without_pyarrow_is_one_line_before_any_work(
        self, data: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
        line = refused("--parquet", data / "scores.parquet", "--json", data / "scores.json")
        assert "pip install 'maskscope[tables]'" in line
        assert not (data / "scores.json").exists()

    def test_nobody_to_work(self, refused: Callable[..., str]) -> None:
        assert "0 jobs leave nobody to work" in refused("--jobs", "0")
