"""How far the model and the tracker are from recorded outputs of the official code.

A case is a JSON file (a configuration, frames of a DAVIS sequence, steps) beside an `.npz` of what the official video
predictor gave at every step. The weights come from a deterministic function of their names, `golden_weights.py` in the
same folder, and go through the same key map as a released checkpoint. Exit code 1: a difference beyond tolerance, or
an array that our run has no counterpart for; 2: something to compare with is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from maskscope.errors import DatasetError, MaskscopeError
from maskscope.model import PRESETS, SAM2
from maskscope.model.keymap import to_ours
from maskscope.model.mask_decoder import NO_OBJECT_LOGIT
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.video_tracker import VideoTracker

TOLERANCE = 0.02  # absolute, of features, logits, pointers and scores in float32
MASK_TOLERANCE = 0.002  # 1 - IoU of masks at the video's size
PROMPT_STEP = 4  # prompt logits are recorded at every 4th pixel
CHANNEL_STEP = 4  # stages at every 4th channel

SIZES = {"t": "tiny", "s": "small", "b+": "base-plus", "l": "large"}
STEP_KEY = re.compile(r"step\d+_(?:f\d+_)?(?:o-?\d+_)?(?P<kind>[a-z_]+)")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One recorded run.

    Attributes:
        name: of its files.
        folder: where they are.
        preset: name of the model's configuration.
        sequence: DAVIS sequence.
        frames: DAVIS frame numbers; inside the case they count from 0.
        steps: what was said and done, in order.
        score_bias: (official parameter name, value) that replaces the weights' own, or None.
        video_size: (H, W).
    """

    name: str
    folder: Path
    preset: str
    sequence: str
    frames: tuple[int, ...]
    steps: tuple[dict[str, Any], ...]
    score_bias: tuple[str, float] | None
    video_size: tuple[int, int]

    @property
    def arrays(self) -> dict[str, Array]:
        """What the official code gave, by key."""
        with np.load(self.folder / f"{self.name}.npz") as file:
            return dict(file)


@dataclass(frozen=True)
class Comparison:
    """One array compared: the worst absolute difference, or 1 - IoU for masks; infinite when shapes differ."""

    key: str
    difference: float

    @property
    def kind(self) -> str:
        """The key without step, frame and object."""
        match = STEP_KEY.fullmatch(self.key)
        return match["kind"] if match else self.key

    @property
    def tolerance(self) -> float:
        """What is allowed for this kind."""
        return MASK_TOLERANCE if self.kind == "video_mask" else TOLERANCE

    @property
    def passed(self) -> bool:
        """Not a number counts as failed."""
        return self.difference <= self.tolerance


# -- reading ------------------------------------------------------------------------------------------------------


def read_cases(folder: Path, only: str | None = None) -> list[Case]:
    """All cases of a folder, or those whose name contains `only`.

    Raises:
        DatasetError: no such folder, no case in it, or a file that does not describe one.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder", "give the folder with the cases (*.json beside *.npz)")
    paths = [path for path in sorted(folder.glob("*.json")) if path.with_suffix(".npz").is_file()]
    found = [case for case in map(_read_case, paths) if case is not None]
    if not found:
        raise DatasetError(f"{folder} holds no case", "a case is NAME.json with config, frames and steps, and NAME.npz")
    chosen = [case for case in found if only is None or only in case.name]
    if not chosen:
        raise DatasetError(f"no case is called {only!r}", f"there are {', '.join(case.name for case in found)}")
    return chosen


def _read_case(path: Path) -> Case | None:
    """None for a JSON file of another kind that happens to have an `.npz` beside it."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict) or "steps" not in plain:
            return None
        bias = plain.get("occlusion_bias_key")
        return Case(
            name=path.stem,
            folder=path.parent,
            preset=preset_name(plain["config"]),
            sequence=plain["sequence"],
            frames=tuple(plain["frames"]),
            steps=tuple(plain["steps"]),
            score_bias=(bias, float(plain["occlusion_bias_value"])) if bias else None,
            video_size=(plain["video_height"], plain["video_width"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} does not describe a case ({error!r})", "see the other cases for its form") from None


def preset_name(config: str) -> str:
    """`sam2.1/sam2.1_hiera_b+` -> `sam2.1-hiera-base-plus`.

    Raises:
        DatasetError: not a released configuration.
    """
    family, _, size = config.rsplit("/", 1)[-1].removesuffix(".yaml").partition("_hiera_")
    name = f"{family}-hiera-{SIZES.get(size, size)}"
    if name not in PRESETS:
        raise DatasetError(f"the configuration {config!r} is not a released one", f"known: {', '.join(PRESETS)}")
    return name


@lru_cache(maxsize=1)
def golden_model(folder: Path, manifests: Path, preset: str, score_bias: tuple[str, float] | None) -> SAM2:
    """The model of a case, its weights made by the folder's `golden_weights.py` for the official names and shapes.

    Raises:
        DatasetError: the function or the names are missing.
        CheckpointError: a name that is no official one.
    """
    source = folder / "golden_weights.py"
    spec = importlib.util.spec_from_file_location("golden_weights", source)
    if not source.is_file() or spec is None or spec.loader is None:
        raise DatasetError(f"{source} is missing", "it makes the weights of the cases")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        shapes = json.loads(manifests.read_text(encoding="utf-8"))[preset]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{manifests} does not list the parameters of {preset} ({error!r})", "give --manifests"
        ) from None
    state = module.golden_state({name: tuple(shape) for name, shape in shapes.items()})
    if score_bias is not None:
        state[score_bias[0]][:] = score_bias[1]
    with torch.device("meta"):
        model = SAM2(PRESETS[preset])
    ours = to_ours({name: torch.from_numpy(array) for name, array in state.items()}, "official")
    model.load_state_dict(ours, strict=True, assign=True)
    return model.requires_grad_(False).eval()


def read_frames(case: Case, davis: Path) -> list[npt.NDArray[np.uint8]]:
    """The case's frames, (H, W, 3) RGB.

    Raises:
        DatasetError: a frame is missing or of another size than the case says.
    """
    frames = []
    for number in case.frames:
        with _open(davis / "JPEGImages" / "480p" / case.sequence / f"{number:05d}.jpg") as image:
            frames.append(np.array(image.convert("RGB")))
        if frames[-1].shape[:2] != case.video_size:
            raise DatasetError(
                f"frame {number} of {case.sequence} is {frames[-1].shape[:2]}, the case was made at {case.video_size}",
                "give DAVIS at 480p",
            )
    return frames


def read_annotation(case: Case, davis: Path, number: int) -> npt.NDArray[np.bool_]:
    """(H, W), every object of the annotation together."""
    with _open(davis / "Annotations" / "480p" / case.sequence / f"{number:05d}.png") as image:
        labels = np.array(image)
    return np.asarray(labels.reshape(*labels.shape[:2], -1).any(-1))


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error})", "give --davis a folder in DAVIS layout at 480p") from None


# -- running ------------------------------------------------------------------------------------------------------


class Run:
    """A case carried out step by step by our tracker, yielding (key, array) as the official run recorded them."""

    def __init__(self, case: Case, model: SAM2, davis: Path) -> None:
        self.case, self.davis = case, davis
        self.latest: dict[str, Observation] = {}
        self.tracker = VideoTracker(
            model, read_frames(case, davis), options=SessionOptions(keep_all=True), observers=[self.note]
        )

    def note(self, seen: Observation) -> None:
        """Of every stage keep the latest output of the last object: the official code goes one by one, in order."""
        order = [*self.tracker.session.tracks, *seen.object_ids]
        held = self.latest.get(seen.stage)
        earlier_object = (
            held is not None
            and held.frame_index == seen.frame_index
            and [order.index(i) for i in seen.object_ids[-1:]] < [order.index(i) for i in held.object_ids[-1:]]
        )
        if not earlier_object:
            self.latest[seen.stage] = seen

    def outputs(self) -> Iterator[tuple[str, Array]]:
        """Everything, in order."""
        for number, step in enumerate(self.case.steps):
            if step["op"] == "propagate":
                for result in self.propagate(step):
                    yield from self.tracked(number, result)
            else:
                yield f"step{number}_prompt_logits", self.prompt(step)
        for stage, seen in self.latest.items():
            if stage in ("image_embedding", "memory_conditioned", "memory_features"):
                yield f"stage_{stage}", seen.output[-1, ::CHANNEL_STEP].float().cpu().numpy()

    def propagate(self, step: dict[str, Any]) -> Iterator[FrameResult]:
        """The official predictor starts at the first prompted frame, also backwards, and from 0 not at all."""
        start, reverse = step.get("start"), step.get("reverse", False)
        start = self.tracker.session.prompted_frames()[0] if start is None else start
        if not (reverse and start == 0):
            yield from self.tracker.propagate(start, reverse=reverse)

    @staticmethod
    def tracked(number: int, result: FrameResult) -> Iterator[tuple[str, Array]]:
        """One frame of a propagation."""
        prefix = f"step{number}_f{result.frame_index}"
        for object_id, masks in result.objects.items():
            yield f"{prefix}_o{object_id}_pointer", masks.pointer_c.cpu().numpy()
            yield f"{prefix}_o{object_id}_object_score", np.array([masks.object_score_logit], dtype=np.float32)
        logits = [masks.mask_logits_hw for masks in result.objects.values()]
        yield f"{prefix}_low_res_logits", torch.stack(logits).cpu().numpy()
        yield f"{prefix}_video_mask", np.packbits(result.masks, axis=-1)

    def prompt(self, step: dict[str, Any]) -> Array:
        """Say it, and see all objects on that frame: (n, H / 4, W / 4) logits at the video's size."""
        mask = read_annotation(self.case, self.davis, step["annotation"]) if step["op"] == "mask" else None
        prompt = Prompt(
            object_id=step["object"],
            points_xy_px=[(x, y) for x, y in step.get("points") or ()],
            labels=step.get("labels") or (),
            box_xyxy_px=tuple(step["box"]) if step.get("box") else None,
            mask=mask,
            keep_earlier=not step.get("clear", True),
        )
        answer = self.tracker.prompt(step["frame"], [prompt])
        known = {i: self.tracker.session.known(i, step["frame"]) for i in self.tracker.session.tracks}
        shown = {i: masks for i, masks in known.items() if masks is not None}
        result = FrameResult(step["frame"], shown, answer.video_size)
        logits = np.full((len(known), *answer.video_size), NO_OBJECT_LOGIT, dtype=np.float32)
        logits[[masks is not None for masks in known.values()]] = result.mask_logits_nhw.cpu().numpy()
        return logits[:, ::PROMPT_STEP, ::PROMPT_STEP]


# -- comparing ----------------------------------------------------------------------------------------------------


def compare_case(case: Case, davis: Path, manifests: Path, device: str = "cpu") -> list[Comparison]:
    """Run a case and compare every recorded array, in the order of the run; what has no counterpart comes last.

    Raises:
        DatasetError: something of the case is missing.
    """
    model = golden_model(case.folder, manifests, case.preset, case.score_bias).to(device)
    expected = case.arrays
    compared = [
        Comparison(key, difference(key, ours, expected.pop(key), case.video_size[1]))
        for key, ours in Run(case, model, davis).outputs()
        if key in expected
    ]
    return compared + [Comparison(key, float("inf")) for key in expected]


def difference(key: str, ours: Array, theirs: Array, width: int) -> float:
    """Largest absolute difference; of packed masks the largest 1 - IoU over objects."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not key.endswith("video_mask"):
        return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0.0))
    a, b = (np.unpackbits(packed, axis=-1)[..., :width].astype(bool) for packed in (ours, theirs))
    both, either = (a & b).sum((1, 2)), (a | b).sum((1, 2))
    return float(1 - np.where(either > 0, both / np.maximum(either, 1), 1.0).min(initial=1.0))


def worst_by_kind(comparisons: Sequence[Comparison]) -> dict[str, tuple[int, Comparison]]:
    """Number of arrays and the worst of them, for each kind; a difference that is no number is worse than any."""
    rank: Callable[[Comparison], float] = lambda c: np.inf if np.isnan(c.difference) else c.difference  # noqa: E731
    kinds: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        kinds.setdefault(comparison.kind, []).append(comparison)
    return {kind: (len(of_kind), max(of_kind, key=rank)) for kind, of_kind in kinds.items()}


def print_case(case: Case, comparisons: Sequence[Comparison], seconds: float) -> None:
    print(f"\n{case.name} ({case.preset}, {case.sequence}, {len(case.frames)} frames, {seconds:.0f} s)")
    print(f"  {'kind':<26} {'arrays':>6} {'worst':>10} {'allowed':>8}  in")
    for kind, (count, worst) in worst_by_kind(comparisons).items():
        shown = "no match" if np.isinf(worst.difference) else f"{worst.difference:.5f}"
        verdict = "" if worst.passed else "  BEYOND TOLERANCE"
        print(f"  {kind:<26} {count:>6} {shown:>10} {worst.tolerance:>8}  {worst.key}{verdict}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="folder with the cases and golden_weights.py")
    parser.add_argument("--davis", type=Path, required=True, help="folder with JPEGImages/480p and Annotations/480p")
    parser.add_argument("--manifests", type=Path, help="names and shapes of the parameters [in CASES]")
    parser.add_argument("--only", help="only cases whose name contains this")
    parser.add_argument("--device", default="cpu", help="PyTorch device [cpu]")
    options = parser.parse_args(arguments)
    manifests = options.manifests or options.cases / "checkpoint_manifests.json"
    failed: list[str] = []
    try:
        cases = read_cases(options.cases, options.only)
        for case in sorted(cases, key=lambda c: (c.preset, str(c.score_bias), c.name)):  # one model at a time
            begin = time.perf_counter()
            comparisons = compare_case(case, options.davis, manifests, options.device)
            print_case(case, comparisons, time.perf_counter() - begin)
            failed += [case.name] * (not comparisons or not all(c.passed for c in comparisons))
    except MaskscopeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{len(cases) - len(failed)} of {len(cases)} cases agree" + (f"; not: {', '.join(failed)}" * bool(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
