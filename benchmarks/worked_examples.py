"""Three plants from clip to decision, and what following the advice changes: writes docs/readiness/examples.md.

    python benchmarks/worked_examples.py --out DIR            # clips, runs, docs: 20 minutes with bfloat16 units
    python benchmarks/worked_examples.py --out DIR --page-only  # the document again, from what is in DIR

Each clip is drawn twice from other seeds: readiness is run on the first; its advice is followed, and not followed, on
the second, which it has not seen. The measures of the picture that readiness asks for are applied where a drawn clip
can take them: another memory policy, prompts at the advised interval, and half of the advised frame rate as the
counter-proof. Masks are compared with the truth by J over the frames that show the object.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.data.mask_files import read_mask
from maskscope.data.synthetic.plant import SCENES, PlantConfig, SceneName
from maskscope.data.synthetic.plant_files import write_plant
from maskscope.data.video import open_video
from maskscope.evaluate.statistics import Bootstrap
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.readiness.result import ReadinessResult
from maskscope.report.readiness.decision import Decision
from maskscope.report.readiness.saying import Saying
from maskscope.report.readiness.wording import wording
from maskscope.studies.looked_at import look_at
from maskscope.studies.readiness.study import ReadinessOptions, assess_readiness
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker

DOCS: Final = Path(__file__).resolve().parents[1] / "docs" / "readiness"
BLOCK_FRAMES: Final = 10
_SHOWN: Final = (0, 60, 120, 180)
log = logging.getLogger("worked_examples")


@dataclass(frozen=True)
class Way:
    """How a clip was followed.

    Attributes:
        name: of the way, for the table.
        policy: of memory.
        every: frames between prompts; 0 is the first frame alone.
        step: each so many-th frame is taken.
        j: mean over frames that show the object.
        low, high: its 95 % interval over stretches of frames.
        lost: share of those frames on which J is 0.1 or less.
        prompts: given.
    """

    name: str
    policy: str
    every: int
    step: int
    j: float = 0.0
    low: float = 0.0
    high: float = 0.0
    lost: float = 0.0
    prompts: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="clips and runs")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR", help="of the document (docs/readiness)")
    parser.add_argument("--frames", type=int, default=250, metavar="N", help="of each clip (250)")
    parser.add_argument("--height", type=int, default=360, metavar="PX", help="of each clip (360)")
    parser.add_argument("--model", default="compact", metavar="NAME", help="(compact)")
    parser.add_argument("--page-only", action="store_true", help="write the document from what DIR holds")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parts = []
    for number, scene in enumerate(SCENES):
        folder = given.out / scene
        if not given.page_only:
            seen = PlantConfig(scene=scene, seed=number, num_frames=given.frames, height_px=given.height)
            unseen = PlantConfig(scene=scene, seed=100 + number, num_frames=given.frames, height_px=given.height)
            _work(folder, seen, unseen, load_model(given.model))
        parts.append(_told(scene, folder, given.docs))
    given.docs.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/worked_examples.py --out DIR --frames {given.frames} --height {given.height}"
    (given.docs / "examples.md").write_text(_document(parts, command), encoding="utf-8")
    log.info("wrote %s", given.docs / "examples.md")
    return 0


def _work(folder: Path, seen: PlantConfig, unseen: PlantConfig, model: SAM2) -> None:
    """Clips, readiness on one, and the ways on the other; what is there already stays."""
    for name, config in (("seen", seen), ("unseen", unseen)):
        if not (folder / name / f"{config.scene}.mp4").exists():
            write_plant(folder / name, config)
    film = folder / "seen" / f"{seen.scene}.mp4"
    clip = look_at(film, masks=folder / "seen" / "masks")
    if not (folder / "readiness" / "readiness.json").exists():
        log.info("readiness of %s", film)
        assess_readiness(clip, clip.prompts(), folder / "readiness", ReadinessOptions(), model=model)
    result = ReadinessResult.read(folder / "readiness" / "readiness.json")
    test = folder / "unseen"
    ways = [_follow(way, test, unseen.scene, model) for way in ways_of(result)]
    (folder / "ways.json").write_text(json.dumps([asdict(way) for way in ways], indent=1) + "\n", encoding="utf-8")
    _picture(test, unseen.scene, folder / "strip.jpg")


def ways_of(result: ReadinessResult) -> Iterator[Way]:
    """Without the advice, with each part of it that a drawn clip can take, with all of it, and against it."""
    rules = {advice.rule for advice in result.plan}
    stock, others = result.endurance[0], result.endurance[1:]
    yield Way("as it is: stock memory, one prompt", "stock", 0, 1)
    policy, every = "stock", 0
    if "use_composite" in rules and others:
        policy = "composite"
        yield Way("advised: memory policy composite", policy, 0, 1)
    best = others[0] if policy == "composite" else stock
    if rules & {"prompt_again", "long_watch"} and best.reprompt_interval.value:
        every = max(2, round(best.reprompt_interval.value))
        yield Way(f"advised: a prompt every {every} frames", policy, every, 1)
    rate = next((sweep for sweep in result.sweeps if sweep.axis == "frame_rate"), None)
    if rate is not None and rate.limit.value is not None and rate.limit.bound == "exact":
        step = max(2, int(np.ceil(2 * rate.present / rate.limit.value)))
        if rate.present / step >= 1:
            yield Way(f"against the advice: {rate.present / step:.3g} frames/s", policy, every, step)


def _follow(way: Way, folder: Path, scene: SceneName, model: SAM2) -> Way:
    """Track the unseen clip that way, and score it."""
    log.info("%s: %s", scene, way.name)
    tracker = Tracker(model, way.policy)
    scores: list[float] = []
    prompts = taken = 0
    for frame in open_video(folder / f"{scene}.mp4").frames(0):
        if frame.index % way.step:
            continue
        truth = read_mask(folder / "masks" / f"{frame.index:05d}.png") == 1
        due = taken == 0 or (way.every and taken % way.every == 0)
        said = [Prompt(1, mask=truth)] if due and truth.any() else []
        if taken == 0 and not said:
            raise SystemExit(f"{folder}: the object is not seen on the first frame; give another seed")
        result = tracker.step(frame.rgb, said)
        prompts, taken = prompts + len(said), taken + 1
        if truth.any() and not said:
            mask = result.masks[0]
            scores.append(float((mask & truth).sum() / (mask | truth).sum()))
    j, low, high = _interval(scores, max(1, BLOCK_FRAMES // way.step))
    lost = float(np.mean([score <= 0.1 for score in scores]))
    return Way(way.name, way.policy, way.every, way.step, j, low, high, lost, prompts)


def _interval(scores: Sequence[float], block: int) -> tuple[float, float, float]:
    blocks = [scores[k : k + block] for k in range(0, len(scores), block)]
    sums = [np.array([sum(part), float(len(part))]) for part in blocks]

    def mean(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        return drawn[:, :1] / np.maximum(drawn[:, 1:], 1)

    found = Bootstrap(resamples=2000, method="percentile").intervals(sums, mean)[0]
    return found.estimate, found.low, found.high


def _picture(folder: Path, scene: SceneName, target: Path) -> None:
    """Four frames in a row, the object's outline filled."""
    video, shown = open_video(folder / f"{scene}.mp4"), []
    for index in _SHOWN:
        at = min(index, len(video) - 1)
        rgb = video[at].copy()
        mask = read_mask(folder / "masks" / f"{at:05d}.png") == 1
        rgb[mask] = (0.55 * rgb[mask] + 0.45 * np.array([60, 220, 90])).astype(np.uint8)
        shown.append(Image.fromarray(rgb).resize((320, 180), Image.Resampling.LANCZOS))
    strip = Image.new("RGB", (320 * len(shown) + 6 * (len(shown) - 1), 180), "white")
    for place, picture in enumerate(shown):
        strip.paste(picture, (326 * place, 0))
    strip.save(target, quality=82)


_ABOUT: Final = {
    "conveyor": "Cogwheels that look alike ride on a belt; a gantry hides each for a moment, and they come back.",
    "hall": "A fixed camera: a person in a vest walks behind racks for seconds, others and carts pass, light changes.",
    "inspection": "A camera in the hand looks at a valve: it shakes, zooms, moves fast and loses its focus.",
}


def _told(scene: SceneName, folder: Path, docs: Path) -> str:
    """The part of the document for one scene."""
    result = ReadinessResult.read(folder / "readiness" / "readiness.json")
    ways = [Way(**each) for each in json.loads((folder / "ways.json").read_text(encoding="utf-8"))]
    (docs / "images").mkdir(parents=True, exist_ok=True)
    (docs / "images" / f"{scene}.jpg").write_bytes((folder / "strip.jpg").read_bytes())
    words = Saying(wording("en"))
    decision = Decision(result, words)
    figures = result.figures()
    lines = [f"## {scene.capitalize()}", "", _ABOUT[scene], "", f"![{scene}](images/{scene}.jpg)", ""]
    lines += [f"**{words.say(f'verdict.{result.verdict}')}.** Advice, each with the figures it rests on:", ""]
    for advice in result.plan:
        cited = "; ".join(
            f"{words.label(name)}: {words.value(figures[name])}" for name in advice.cites if name in figures
        )
        lines.append(f"- *{words.say(f'stage.{advice.stage}')}*: {decision.advised(advice)} ({cited})")
    lines += ["", "What it needs:", "", *(f"- {decision.sentence(sweep)}" for sweep in result.sweeps), ""]
    lines += ["Followed and not followed, on a clip of the same scene that readiness has not seen:", ""]
    lines += ["| way | J | 95 % interval | object lost | prompts |", "|---|---|---|---|---|"]
    for way in ways:
        lost = f"{100 * way.lost:.0f} % of frames"
        lines.append(f"| {way.name} | {way.j:.3f} | {way.low:.3f} to {way.high:.3f} | {lost} | {way.prompts} |")
    base = ways[0]
    if advised := [way for way in ways if way.name.startswith("advised")]:
        change = advised[-1].j - base.j
        lines += ["", f"Following the advice changes J by {change:+.3f} and lost frames by "
                      f"{100 * (advised[-1].lost - base.lost):+.0f} points."]  # fmt: skip
    else:
        lines += ["", "The advice asks for nothing that a film which is already recorded can take."]
    return "\n".join(lines)


def _document(parts: Sequence[str], command: str) -> str:
    return "\n".join(
        [
            "# Worked examples: three plants from clip to decision",
            "",
            "Made-up clips with exact truth. Readiness was run on one clip of each scene; "
            "whether its advice is worth following was measured on another, drawn from another seed. Frames that were "
            "prompted do not count. This page is written by the program:",
            "",
            f"    {command}",
            "",
            "\n\n".join(parts),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
