"""Do the limits that readiness finds in the first half of a clip hold on its second half? Writes the page on honesty.

    python benchmarks/readiness_halves.py --dataset DIR [--page docs/readiness/honesty.md] [--json FILE]
    python benchmarks/readiness_halves.py --clips DIR            # folders with `frames` and `masks` in each

For every clip, resolution, frame rate and light are swept on the first half, once with its true masks and once with the
run's own in their place, as an installation without labels has it. The second half, prompted anew with its first true
mask, is then made worse to the levels that were recommended, and scored against its true masks. A level holds where
retention (J over J of the undisturbed second half) is at least what was to be kept.

A limit is where retention passes that level, so on a second half that is just like the first it holds every second
time. That is why three levels are tried: the limit itself, the limit with room, which is what readiness advises, and
the milder end of the limit's interval.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from tqdm import tqdm

from _planted_page import Share
from _table import write_record
from maskscope.data.davis import DavisDataset
from maskscope.errors import MaskscopeError
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.readiness.budget import STANDARD
from maskscope.readiness.conditions import AXES, Axis
from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import Sweep
from maskscope.readiness.room import level_with_room
from maskscope.studies.looked_at import LookedAt, look_at
from maskscope.studies.readiness.clean import clean_run
from maskscope.studies.readiness.passes import PassStore
from maskscope.studies.readiness.study import LEAST_FRAMES, USUAL_FPS
from maskscope.studies.readiness.sweeps import SweepWork

TRIED: Final = tuple(axis for axis in AXES if axis.name in ("resolution", "frame_rate", "light_down", "light_up"))
WAYS: Final = {
    "limit": "the limit",
    "room": "what is advised: the limit with room",
    "sure": "the interval's milder end",
}
TRUTHS: Final = {"given": "true masks", "own": "own masks"}
KEEP: Final = 0.8
PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "readiness" / "honesty.md"


@dataclass(frozen=True)
class Outcome:
    """One recommendation on one second half.

    Attributes:
        clip: its name.
        axis: that was swept.
        truth: what the first half was compared with, a key of `TRUTHS`.
        way: which level, a key of `WAYS`; "hardest" where the first half was never lost, so that there is no limit.
        level: on the axis.
        retention: on the second half, against its true masks.
        own_limit: where the second half itself passes; None where it is never lost.
    """

    clip: str
    axis: str
    truth: str
    way: str
    level: float
    retention: float
    own_limit: float | None

    @property
    def holds(self) -> bool:
        """As much is kept as was to be."""
        return self.retention >= KEEP


def recommended(axis: Axis, sweep: Sweep) -> Iterator[tuple[str, float]]:
    """(way, level) pairs that a sweep gives rise to; never harder than the limit or milder than the present."""
    limit = sweep.limit
    if limit.value is None:
        return
    if limit.bound != "exact":
        yield "hardest", limit.value
        return
    lower = axis.harder == "lower"
    room = level_with_room(axis.name, axis.harder, axis.logarithmic, limit.value)
    yield "limit", limit.value
    yield "room", _milder(room, sweep.present, lower)
    sure = _milder_end(limit, lower)
    yield "sure", _milder(limit.value if sure is None else sure, sweep.present, lower)


def _milder_end(limit: Figure, lower: bool) -> float | None:
    return limit.high if lower else limit.low


def _milder(level: float, present: float, lower: bool) -> float:
    return min(level, present) if lower else max(level, present)


def work_of(model: SAM2, clip: LookedAt, given: bool, store: Path) -> SweepWork:
    """What sweeps of a half need, its undisturbed run among it."""
    prompts = clip.prompts()
    seen = clip if given else replace(clip, annotated=False)
    passes = PassStore(store, "", lambda name, frames: None, lambda: False)
    clean = clean_run(model, seen, prompts, "stock", lambda name: None)
    return SweepWork(model, "stock", clean, prompts, clip.fps or USUAL_FPS, KEEP, STANDARD, passes)


def outcomes(model: SAM2, first: LookedAt, second: LookedAt, store: Path) -> Iterator[Outcome]:
    """Sweep the first half both ways, and try what that recommends on the second."""
    judge = work_of(model, second, True, store / "second")
    bounds = {axis.name: judge.sweep(axis)[0].limit for axis in TRIED}
    for truth in TRUTHS:
        sweeper = work_of(model, first, truth == "given", store / truth)
        for axis in TRIED:
            own = bounds[axis.name]
            own_limit = own.value if own.bound == "exact" else None
            for way, level in recommended(axis, sweeper.sweep(axis)[0]):
                yield Outcome(first.name, axis.name, truth, way, level, judge.retention_at(axis, level), own_limit)


def clips_of(dataset: Path | None, clips: Path | None) -> Iterator[tuple[str, dict[str, object]]]:
    """(name, how `look_at` opens it)."""
    if dataset is not None:
        for name in DavisDataset(dataset).sequences:
            yield name, {"source": dataset, "sequence": name}
    if clips is not None:
        for folder in sorted(each for each in clips.iterdir() if (each / "frames").is_dir()):
            yield folder.name, {"source": folder / "frames", "masks": folder / "masks"}


def halves(name: str, how: Mapping[str, object]) -> tuple[LookedAt, LookedAt]:
    """Both halves of a clip, each given by its first mask, the first object alone."""
    whole = look_at(**how)  # type: ignore[arg-type]
    middle = whole.num_frames // 2
    first = replace(look_at(**how, max_frames=middle), name=name)  # type: ignore[arg-type]
    return first, replace(look_at(**how, start=middle), name=name)  # type: ignore[arg-type]


def share(found: Sequence[Outcome]) -> Share:
    """How many of them hold."""
    return Share(sum(each.holds for each in found), len(found))


def page_of(found: Sequence[Outcome], left_out: Mapping[str, str], command: str) -> str:
    """The document."""
    clips = len({each.clip for each in found})
    lines = [
        "# Do the recommended limits hold?",
        "",
        "Readiness measures how far resolution, frame rate and light may fall before less than 80 % of J is kept, and",
        "advises that limit with room: a factor of 1.25, or one stop of light (`maskscope.readiness.room`).",
        f"Here the limits of the first half of {clips} clips are tried on the second half, which is prompted anew and",
        "scored against its true masks. Made by",
        "",
        f"    {command}",
        "",
        "How often the recommended level keeps 80 % on the second half, of those recommendations that name a limit",
        "(Wilson's 95 % interval; the axes of one clip resemble each other, so the true intervals are wider):",
        "",
        "| first half compared with | " + " | ".join(WAYS.values()) + " |",
        "|---|" + "---|" * len(WAYS),
    ]
    for truth, said in TRUTHS.items():
        cells = [str(share([e for e in found if e.truth == truth and e.way == way])) for way in WAYS]
        lines.append(f"| {said} | " + " | ".join(cells) + " |")
    lines += ["", "By axis, first half compared with its true masks:", ""]
    lines += ["| axis | " + " | ".join(WAYS.values()) + " | never lost on the first half: hardest level holds |"]
    lines += ["|---|" + "---|" * (len(WAYS) + 1)]
    for axis in TRIED:
        mine = [each for each in found if each.axis == axis.name and each.truth == "given"]
        cells = [str(share([e for e in mine if e.way == way])) for way in (*WAYS, "hardest")]
        lines.append(f"| {axis.name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Every advised level that failed, with what was kept, and where the second half itself",
        "passes 80 %:",
        "",
        "| clip | axis | compared with | level | kept | the second half's own limit |",
        "|---|---|---|---|---|---|",
    ]
    failed = [each for each in found if each.way == "room" and not each.holds]
    for each in failed:
        own = "never lost" if each.own_limit is None else f"{each.own_limit:.3g}"
        lines.append(
            f"| {each.clip} | {each.axis} | {TRUTHS[each.truth]} | {each.level:.3g} | {each.retention:.2f} | {own} |"
        )
    if not failed:
        lines.append("| none | | | | | |")
    lines += ["", *_spread(found), ""]
    if left_out:
        lines += ["Left out: " + "; ".join(f"{name} ({why})" for name, why in left_out.items()) + ".", ""]
    lines += [
        "What this cannot tell: both halves come from one camera on one day and one scene. Another day differs by",
        "more, which is what the room is for; the honest test of that is a second clip of your own.",
    ]
    return "\n".join(lines) + "\n"


def _spread(found: Sequence[Outcome]) -> Iterator[str]:
    """How far apart the limits of both halves lie, for axes of factors."""
    for axis in TRIED:
        pairs = [
            (each.level, each.own_limit)
            for each in found
            if each.axis == axis.name and each.truth == "given" and each.way == "limit" and each.own_limit is not None
        ]
        if len(pairs) < 2:
            continue
        if axis.logarithmic:
            apart = [max(a / b, b / a) for a, b in pairs]
            factor = median(apart)
            yield f"- {axis.name}: limits of both halves are a factor {factor:.2f} apart (median of {len(pairs)})."
        else:
            steps = [abs(a - b) for a, b in pairs]
            yield f"- {axis.name}: limits of both halves are {median(steps):.2f} stops apart (median of {len(pairs)})."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="folder in the layout of DAVIS")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="folder of folders with `frames` and `masks`")
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--max-clips", type=int, metavar="N", help="only the first ones")
    parser.add_argument("--page", type=Path, nargs="?", const=PAGE, metavar="FILE", help=f"write it ({PAGE.name})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as a record")
    options = parser.parse_args()
    if (options.dataset is None) == (options.clips is None):
        parser.error("give --dataset or --clips")
    try:
        model = load_model(options.model)
        several = list(clips_of(options.dataset, options.clips))[: options.max_clips]
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    found: list[Outcome] = []
    left_out: dict[str, str] = {}
    for name, how in tqdm(several, disable=None):
        with tempfile.TemporaryDirectory() as store:
            try:
                first, second = halves(name, how)
                if min(first.num_frames, second.num_frames) < LEAST_FRAMES:
                    left_out[name] = f"halves of {first.num_frames} and {second.num_frames} frames"
                    continue
                mine = list(outcomes(model, first, second, Path(store)))
            except MaskscopeError as error:
                left_out[name] = str(error).split("\n")[0]
                continue
        found += mine
        print(json.dumps({"clip": name, "kept": {f"{e.truth} {e.axis} {e.way}": round(e.retention, 2) for e in mine}}))
    for truth in TRUTHS:
        for way in (*WAYS, "hardest"):
            print(truth, way, share([each for each in found if each.truth == truth and each.way == way]))
    said = "--dataset DIR" if options.dataset else "--clips DIR"
    if options.page:
        command = f"python benchmarks/readiness_halves.py {said} --page --json benchmarks/results/readiness_halves.json"
        options.page.write_text(page_of(found, left_out, command), encoding="utf-8")
    if options.json:
        facts = {"keep": KEEP, "model": Path(options.model).name, "left_out": left_out}
        write_record(options.json, "readiness_halves", "second halves", {"outcomes": found}, **facts)


if __name__ == "__main__":
    main()
