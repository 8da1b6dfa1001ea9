"""Adapt a model to somebody's own labelled clips, and say honestly whether it helped: the door to `maskscope finetune`.

What was held out decides which weights are written: those that do better there, so a file that comes out of this is
never worse on it than the model that went in. The bundled synthetic clip shows what was forgotten meanwhile.
"""

from __future__ import annotations

import copy
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maskscope.data.dataset import AnnotatedSequence
from maskscope.data.output import new_file, writing
from maskscope.errors import MaskscopeError, SettingError
from maskscope.evaluate.statistics import Interval
from maskscope.model.checkpoints import load_model, locate, read_checkpoint, save_checkpoint
from maskscope.model.precision import preferred_dtype
from maskscope.model.presets import with_image_size
from maskscope.model.sam2 import SAM2
from maskscope.studies.bundled_clip import BundledClip
from maskscope.studies.folder_lock import folder_lock
from maskscope.studies.held_out import Scores, Split, change, interval, score_clip, split
from maskscope.tracking.picture import input_size
from maskscope.training.clips import ClipConfig, ClipSampler
from maskscope.training.launch import prepared
from maskscope.training.loop import STATE_NAME, StepReport, Trainer
from maskscope.training.recipe import Cycle, Phase, Recipe
from maskscope.training.user_data import LabelledClip, StretchedClips, digest, labelled_corpus, shape_of

log = logging.getLogger(__name__)

FORGOTTEN: Final = 0.02
"""A loss of J&F on the bundled clip above this is warned of."""

BUNDLED_STEP: Final = 3
"""Of the bundled clip, whose frames resemble their neighbours, so many frames apart are scored."""

CLIPS: Final = ClipConfig(video=0.5, still=0.25, paste=0.25, min_target=0.0005)


@dataclass(frozen=True)
class FineTuneOptions:
    """What is wanted of a fine-tuning.

    Attributes:
        model: a name of `list_models()`, or a file of weights.
        freeze: parts that keep their weights; without the image encoder training is slower and forgets more.
        steps: of the optimiser.
        clips: per step.
        frames: per clip.
        learning_rate: peak; the trunk, if it is trained, has a fifth.
        image_size: (height, width) of the model's input; None is what it was trained with.
        held_out: names of clips to hold out; empty draws a quarter, or takes the last third of a single clip.
        seed: of that draw and of training.
        device: PyTorch's name of it; None is the GPU if there is one, else the CPU.
    """

    model: str = "compact"
    freeze: tuple[str, ...] = ("image_encoder",)
    steps: int = 100
    clips: int = 2
    frames: int = 4
    learning_rate: float = 1e-4
    image_size: tuple[int, int] | None = None
    held_out: tuple[str, ...] = ()
    seed: int = 0
    device: str | None = None

    def __post_init__(self) -> None:
        if min(self.steps, self.clips) < 1 or self.frames < 2 or self.learning_rate <= 0:
            raise SettingError(
                f"{self.steps} steps of {self.clips} clips of {self.frames} frames at rate {self.learning_rate:g}",
                "give 1 or more steps and clips, 2 or more frames, and a rate above 0",
            )


@dataclass(frozen=True)
class Comparison:
    """J&F before and after on the same frames, and their paired difference, each with an interval."""

    before: Interval
    after: Interval
    change: Interval

    @classmethod
    def of(cls, before: Scores, after: Scores) -> Comparison:
        """From the frames' scores."""
        return cls(interval(before), interval(after), change(after, before))


@dataclass(frozen=True)
class FineTuneResult:
    """What a fine-tuning did.

    Attributes:
        path: the file of weights.
        steps: trained.
        trained_frames: labelled frames that were trained on.
        held_out: names of the clips that were not.
        held_out_frames: labelled frames among them that were scored.
        rule: how they were chosen.
        users: J&F there.
        bundled: J&F on the bundled synthetic clip.
    """

    path: Path
    steps: int
    trained_frames: int
    held_out: tuple[str, ...]
    held_out_frames: int
    rule: str
    users: Comparison
    bundled: Comparison

    @property
    def improved(self) -> bool:
        """Whether the file holds the new weights; otherwise they did no better and it holds those of before."""
        return self.users.change.estimate > 0

    @property
    def sure(self) -> bool:
        """Whether the improvement is more than the choice of held-out frames explains."""
        return self.users.change.low > 0

    @property
    def forgot(self) -> bool:
        """Whether the bundled clip is followed notably worse than before."""
        return self.bundled.change.estimate < -FORGOTTEN


def fine_tune(
    sequences: Sequence[AnnotatedSequence],
    out: str | Path,
    options: FineTuneOptions | None = None,
    *,
    overwrite: bool = False,
    watch: Callable[[StepReport], None] = lambda _: None,
    scoring: Callable[[str, int, int], None] = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> FineTuneResult | None:
    """Train a model on labelled clips and write it, if it does better on those that were held out.

    A run that was stopped or killed leaves `<out>.training` beside the file, from which the same call goes on.

    Args:
        sequences: clips with masks on some frames or all.
        out: the file of weights to write.
        options: see `FineTuneOptions`.
        overwrite: replace an existing file.
        watch: told of every step.
        scoring: told what is being scored, how many frames are done, and of how many.
        stop: asked after every step; True saves and ends.

    Returns:
        None when stopped before the end.

    Raises:
        DatasetError: labels that cannot be trained on, or too few.
        CheckpointError: the model cannot be had.
        SettingError: a part to freeze that the model has not.
        OutputError: the file exists, or cannot be written.
        MaskscopeError: the loss is no number.
    """
    options = options or FineTuneOptions()
    path = new_file(Path(out), overwrite)
    parts = split(sequences, options.held_out, options.seed)
    model = load_model(options.model, device=options.device, image_size=options.image_size)
    height, width = _usual_size(parts.training)
    seen = input_size(model.config, height, width)
    recipe = recipe_of(options, seen)
    work = path.with_name(f"{path.name}.training")
    with folder_lock(work):
        try:
            corpus = labelled_corpus(parts.training, work / "data", seen[0] * seen[1])
            clips = StretchedClips(ClipSampler(corpus, CLIPS, options.seed), shape_of(height, width, seen))
            original = _in_use(model)
            about = {"data": digest(corpus)}
            trainer = Trainer(prepared(model, recipe), recipe, clips, work, about=about, watch=watch, stop=stop)
        except MaskscopeError:
            if not (work / STATE_NAME).is_file():
                shutil.rmtree(work, ignore_errors=True)
            raise
        if not trainer.run():
            return None
        result = _judged(original, _in_use(trainer.averaged), parts, path, options, scoring)
        _write(trainer.averaged, options, result)
        with writing(path):
            trainer.log.path.replace(path.with_name(f"{path.name}.log.jsonl"))
        shutil.rmtree(work, ignore_errors=True)
    return result


def _judged(
    original: SAM2,
    tuned: SAM2,
    parts: Split,
    path: Path,
    options: FineTuneOptions,
    scoring: Callable[[str, int, int], None],
) -> FineTuneResult:
    bundled = LabelledClip(BundledClip(), tuple(range(0, BundledClip().num_frames, BUNDLED_STEP)))
    return FineTuneResult(
        path,
        options.steps,
        trained_frames=sum(len(clip.frames) for clip in parts.training),
        held_out=tuple(clip.name for clip in parts.held_out),
        held_out_frames=sum(len(clip.frames) - 1 for clip in parts.held_out),
        rule=parts.rule,
        users=_compare(original, tuned, parts.held_out, "held-out clips", scoring),
        bundled=_compare(original, tuned, (bundled,), "bundled clip", scoring),
    )


def recipe_of(options: FineTuneOptions, size_hw: tuple[int, int]) -> Recipe:
    """The training that the options ask for, with the model's input of `size_hw` pixels."""
    phase = Phase(options.steps, options.clips, options.frames, size_hw, groups=1)
    return Recipe(
        cycles=(Cycle((phase,), options.learning_rate, options.learning_rate / 5),),
        warm_up=0.1,
        weight_decay=0.01,
        frozen=tuple(sorted(options.freeze)),
        frozen_stages=0,
        train_depthwise=True,
        initial=Path(options.model),
        seed=options.seed,
        clips=CLIPS,
    )


def _usual_size(clips: Sequence[LabelledClip]) -> tuple[int, int]:
    """(height, width) of most clips."""
    return Counter(clip.sequence.size for clip in clips).most_common(1)[0][0]


def _in_use(model: SAM2) -> SAM2:
    """A copy as tracking runs it."""
    return copy.deepcopy(model).set_precision(preferred_dtype(model.device)).eval().requires_grad_(False)


def _compare(
    original: SAM2, tuned: SAM2, clips: Sequence[LabelledClip], name: str, scoring: Callable[[str, int, int], None]
) -> Comparison:
    total, done = 2 * sum(clip.frames[-1] - clip.frames[0] + 1 for clip in clips), 0

    def tick() -> None:
        nonlocal done
        done += 1
        scoring(name, done, total)

    before, after = ([score_clip(model, clip, tick) for clip in clips] for model in (original, tuned))
    return Comparison.of(before, after)


def _write(averaged: SAM2, options: FineTuneOptions, result: FineTuneResult) -> None:
    """The better weights under the model's own input size, with what was measured beside them."""
    base = read_checkpoint(locate(options.model))
    if result.improved:
        model = averaged
        model.config = with_image_size(model.config, base.config.image_size)
    else:
        model = load_model(options.model, device="cpu")
    facts = {
        "fine_tuned_from": options.model,
        "fine_tuned": f"{options.steps} steps on {result.trained_frames} labelled frames" if result.improved else "no",
        "held_out_j_and_f_before": str(result.users.before),
        "held_out_j_and_f_after": str(result.users.after),
        "bundled_j_and_f_change": str(result.bundled.change),
    }
    save_checkpoint(model, result.path, {**base.metadata, **facts})
