"""Adapt a model to the objects of one picture before following them: the door to `maskscope adapt`.

The picture and its masks are taken apart and set in motion, and a few steps on such clips teach the parts that compare
and draw what tells these objects from just what surrounds them. What the model knows of pictures stays as it is.
Source: Caelles et al., arXiv 1611.05198 (a network is trained on the first frame); Khoreva et al., arXiv 1703.09554.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.data.label_maps import MaskPngWriter, label_map, object_labels, read_labels
from maskscope.data.output import new_file, writing
from maskscope.data.video import open_video
from maskscope.errors import OutputError, PromptError, SettingError, ShapeError, VideoError
from maskscope.evaluate.region import region_similarity
from maskscope.model.checkpoints import load_model, locate, read_checkpoint, save_checkpoint
from maskscope.model.precision import preferred_dtype
from maskscope.model.presets import with_image_size
from maskscope.model.sam2 import SAM2
from maskscope.studies.input_identity import identity
from maskscope.studies.run_facts import describe
from maskscope.studies.track import check_prompts
from maskscope.tracking.picture import RgbFrame, check_frame, input_size
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from maskscope.training.batches import ClipSource
from maskscope.training.clips import Clip
from maskscope.training.frame_clips import FrameClips
from maskscope.training.launch import prepared
from maskscope.training.loop import StepReport, Trainer
from maskscope.training.recipe import Cycle, Phase, Recipe
from maskscope.training.user_data import StretchedClips, reduced, shape_of

TRAINED: Final = ("memory_attention", "mask_decoder", "memory_encoder")
"""The parts that learn; all others keep their weights."""

JUDGED_CLIPS, JUDGED_FRAMES = 4, 6
"""Clips of the same picture that no step saw, on which the model is compared before and after."""

UNSEEN = 10**6
"""Number of the first of them."""

_WISH, _BEFORE, _AFTER = "adapted_wish_sha256", "adapted_j_before", "adapted_j_after"  # among a file's metadata
_MASKS = "adapted_masks_sha256"


@dataclass(frozen=True)
class AdaptOptions:
    """How long and how far to adapt.

    Attributes:
        steps: of the optimiser.
        clips: per step.
        frames: per clip.
        learning_rate: peak.
        share: how far the result goes from the given weights, 0, to those that were found, 1. Short of them a model
            keeps more of what it knew (Wortsman et al., arXiv 2109.01903).
        seed: of the clips.
    """

    steps: int = 40
    clips: int = 3
    frames: int = 3
    learning_rate: float = 3e-4
    share: float = 0.75
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.clips) < 1 or self.frames < 2 or not 0 < self.learning_rate < math.inf:
            raise SettingError(
                f"{self.steps} steps of {self.clips} clips of {self.frames} frames at rate {self.learning_rate:g}",
                "give 1 or more steps and clips, 2 or more frames, and a rate above 0",
            )
        if not 0 < self.share <= 1:
            raise SettingError(f"a share of {self.share:g} of the way", "give more than 0, at most 1")


@dataclass(frozen=True)
class Adapted:
    """A model that was adapted, and how it does on clips of that picture that it was not trained on.

    Attributes:
        model: in evaluation mode, in the precision of the one that went in; that one itself where it does better.
        before, after: mean J there, 0..1. Motion is made up, so it tells that something was learned, not how much
            better a video is followed.
    """

    model: SAM2
    before: float
    after: float

    @property
    def better(self) -> bool:
        """Whether the weights are new."""
        return self.after > self.before


def adapt(
    model: SAM2,
    frame_rgb: RgbFrame,
    labels: NDArray[np.uint8],
    options: AdaptOptions | None = None,
    *,
    watch: Callable[[StepReport], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Adapted | None:
    """Teach a model the objects of one picture; the model that is given stays as it is.

    The masks should be good to the outline: what they get wrong is learned, too.

    Args:
        model: any, with its weights; best in float32.
        frame_rgb: (H, W, 3) uint8.
        labels: (H, W) uint8, objects by number, 0 is background, 255 belongs to nobody.
        options: see `AdaptOptions`.
        watch: told of every step.
        stop: asked after every step; True ends.

    Returns:
        None when stopped.

    Raises:
        ShapeError: picture and labels do not fit each other.
        PromptError: no object is labelled, or one is too small for the model's input.
        OutputError: no room in the folder for temporary files.
        MaskscopeError: the loss is no number.

    Example:
        >>> adapted = adapt(load_model(), frame, mask.astype(np.uint8))
        >>> tracker = Tracker(adapted.model)
        >>> result = tracker.step(frame, [Prompt(1, mask=mask)])
    """
    options = options or AdaptOptions()
    check_frame(frame_rgb)
    if labels.shape != frame_rgb.shape[:2]:
        raise ShapeError(f"labels of shape {labels.shape} for a picture of {frame_rgb.shape[:2]}", "give them one size")
    if not object_labels(labels):
        raise PromptError("the labels show no object", "label one")
    size = input_size(model.config, *labels.shape)
    clips = _clips(frame_rgb, labels, size, options.seed)
    recipe = _recipe(model, options, size)
    learner = copy.deepcopy(model).set_precision(torch.float32)
    with writing(Path(gettempdir())), TemporaryDirectory(prefix="maskscope-adapt-") as work:
        trainer = Trainer(prepared(learner, recipe), recipe, clips, Path(work), watch=watch, stop=stop)
        if not trainer.run():
            return None
    learned = trainer.averaged
    for now, given in zip(learned.parameters(), model.parameters(), strict=True):
        now.lerp_(given.detach().to(now.dtype), 1 - options.share)
    learned.set_precision(model.heavy_dtype).eval()
    before, after = (_score(one, clips, size) for one in (model, learned))
    return Adapted(learned if after > before else model, before, after)


def marked(model: SAM2, picture: RgbFrame, prompts: Sequence[Prompt]) -> NDArray[np.uint8]:
    """(H, W) objects by number: masks as they are, what points and boxes mean as the model finds it.

    Raises:
        PromptError: nothing is found for a prompt, or others cover all of it.
    """
    if all(prompt.mask is not None for prompt in prompts):
        found = np.stack([np.asarray(prompt.mask) != 0 for prompt in prompts])
        labels = label_map(found, [prompt.object_id for prompt in prompts])
    else:
        quick = copy.deepcopy(model).set_precision(preferred_dtype(model.device))
        result = Tracker(quick).step(picture, prompts)
        labels = label_map(result.masks, result.object_ids, result.mask_logits_nhw.cpu().numpy())
        for prompt in prompts:
            if prompt.mask is not None:
                labels[np.asarray(prompt.mask) != 0] = prompt.object_id
    missing = sorted({prompt.object_id for prompt in prompts} - set(object_labels(labels)))
    if missing:
        raise PromptError(
            f"nothing is left of object {missing[0]} on the marked frame", "give a box, more points, or its mask"
        )
    return labels


@dataclass(frozen=True)
class AdaptedFile:
    """What `adapt_to_video` wrote.

    Attributes:
        weights: for `--model` of every command.
        masks: picture of the objects that it was adapted to, for `--mask`; beside the weights.
        objects: how many.
        before, after: see `Adapted`.
        better: whether the weights are new; otherwise they are those of the model that was given.
        exact: whether masks were given; otherwise they are the model's own, mistakes included.
        earlier: whether an earlier call with the same wishes had written them.
    """

    weights: Path
    masks: Path
    objects: int
    before: float
    after: float
    better: bool
    exact: bool
    earlier: bool = False


def adapt_to_video(
    source: str,
    prompts_for: Callable[[tuple[int, int]], Sequence[Prompt]],
    out: Path,
    options: AdaptOptions | None = None,
    *,
    frame: int = 0,
    model: str = "compact",
    image_size: tuple[int, int] | None = None,
    device: str | None = None,
    overwrite: bool = False,
    watch: Callable[[StepReport], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> AdaptedFile | None:
    """Adapt a model to what is marked on one frame of a video, and write its weights.

    Objects that are marked by points or a box are first segmented by the model itself, whose mistakes are then learned:
    by one click on each of ten DAVIS sequences the compact model follows worse than without adapting.

    Args:
        source: what `open_video` takes, but no live stream.
        prompts_for: makes the prompts for a video of (height, width) pixels.
        out: file of weights to write; the masks go beside it as `<name>-masks.png`.
        options: see `AdaptOptions`.
        frame: number of the frame that is marked.
        model: a name of `list_models()`, or a file of weights.
        image_size: (height, width) of the model's input; None is what it was trained with.
        device: PyTorch's name of it; None is the GPU if there is one, else the CPU.
        overwrite: replace files that other wishes have left. What the same ones have is used again in any case.
        watch: told of every step.
        stop: asked after every step; True ends, and nothing is written.

    Returns:
        None when stopped.

    Raises:
        VideoError: it cannot be read, is live, or has no such frame.
        PromptError: prompts that cannot mean an object, or that the model finds nothing by.
        CheckpointError: the model cannot be had.
        OutputError: a file exists, or cannot be written.
        MaskscopeError: the loss is no number.
    """
    options = options or AdaptOptions()
    masks = _beside(out, source, model)
    video = open_video(source)
    if video.num_frames is None:
        raise VideoError(f"{video.name} is a live stream", "save a picture of it, and adapt to that")
    if not 0 <= frame < video.num_frames:
        raise VideoError(
            f"{video.name} has no frame {frame}: it has {video.num_frames} frames",
            f"give a number from 0 to {video.num_frames - 1}",
        )
    prompts = prompts_for((video.height, video.width))
    check_prompts(prompts, video)
    request = {
        "input": identity(source),
        "frame": frame,
        "prompts": [describe(prompt) for prompt in prompts],
        "model": identity(model),
        "image_size": image_size,
        **asdict(options),
    }
    wanted = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    exact = all(prompt.mask is not None for prompt in prompts)
    if out.is_file() and masks.is_file() and (facts := _facts(out)).get(_WISH) == wanted:
        if _digest(read_labels(masks)) == facts.get(_MASKS):
            scores = float(facts[_BEFORE]), float(facts[_AFTER])
            return AdaptedFile(out, masks, len(prompts), *scores, facts["adapted"] != "no", exact, earlier=True)
        if not overwrite:
            raise OutputError(
                f"{masks} was changed since the model was adapted to it", "give it as --mask, and name another file"
            )
    for path in (out, masks):
        new_file(path, overwrite)
    loaded = load_model(model, device=device, image_size=image_size)
    picture = video[frame]
    labels = marked(loaded, picture, prompts)
    adapted = adapt(loaded, picture, labels, options, watch=watch, stop=stop)
    if adapted is None:
        return None
    base = read_checkpoint(locate(model))
    adapted.model.config = with_image_size(adapted.model.config, base.config.image_size)
    told = {
        "adapted_from": Path(model).name,
        "adapted": f"{options.steps} steps on frame {frame} of {Path(video.name).name}" if adapted.better else "no",
        _BEFORE: f"{adapted.before:.4f}",
        _AFTER: f"{adapted.after:.4f}",
        _WISH: wanted,
        _MASKS: _digest(labels),
    }
    MaskPngWriter(masks.parent, overwrite=True).write(labels, frame, stem=masks.stem)
    save_checkpoint(adapted.model, out, {**base.metadata, **told})
    return AdaptedFile(out, masks, len(prompts), adapted.before, adapted.after, adapted.better, exact)


def _beside(out: Path, source: str, model: str) -> Path:
    """Where the masks go; refuses what would destroy an input, or become a frame of it."""
    if not out.name or out.is_dir():
        raise OutputError(f"{out} is a folder", "name a file for the weights")
    masks = out.with_name(f"{out.stem}-masks.png")
    given = [Path(name).expanduser() for name in (source, model)]
    inputs = {path.resolve() for path in given if path.is_file() or path == given[0]}
    if {path.resolve() for path in (out, masks, out.parent)} & inputs:
        raise OutputError(f"weights in {out} would be written over or among the input", "name another file with --out")
    return masks


def _digest(labels: NDArray[np.uint8]) -> str:
    """Equal for equal label maps."""
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()


def _facts(path: Path) -> dict[str, str]:
    """What an earlier call left beside the weights; nothing where the file is no model of ours."""
    try:
        return read_checkpoint(path).metadata
    except (OSError, ValueError):
        return {}


def _clips(frame_rgb: RgbFrame, labels: NDArray[np.uint8], size_hw: tuple[int, int], seed: int) -> ClipSource:
    """In the picture's shape, then stretched as tracking stretches frames."""
    most = 2 * size_hw[0] * size_hw[1]  # what is shown a little nearer is still sharp
    image, small = reduced(frame_rgb, most, cv2.INTER_AREA), reduced(labels, most, cv2.INTER_NEAREST_EXACT)
    seen = cv2.resize(small, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    lost = set(object_labels(labels)) - set(object_labels(np.asarray(seen, np.uint8)))
    if lost:
        raise PromptError(f"object {min(lost)} is too small to be seen by the model", "give a larger --image-size")
    return StretchedClips(FrameClips(image, small, seed), shape_of(labels.shape[0], labels.shape[1], size_hw))


def _recipe(model: SAM2, options: AdaptOptions, size_hw: tuple[int, int]) -> Recipe:
    phase = Phase(options.steps, options.clips, options.frames, size_hw, groups=1)
    parts = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
    return Recipe(
        cycles=(Cycle((phase,), options.learning_rate),),
        prompt_weights=(1.0, 0.0, 0.0),
        warm_up=0.1,
        weight_decay=0.0,
        frozen=tuple(part for part in parts if part not in TRAINED),
        frozen_stages=0,
        checkpoint_minutes=math.inf,
        seed=options.seed,
    )


def _score(model: SAM2, clips: ClipSource, size_hw: tuple[int, int]) -> float:
    """Mean J over clips that training did not see, first masks given."""
    unseen = [clips.sample(UNSEEN + number, JUDGED_FRAMES, size_hw) for number in range(JUDGED_CLIPS)]
    return float(np.mean([_follow(model, clip) for clip in unseen]))


def _follow(model: SAM2, clip: Clip) -> float:
    tracker, scores = Tracker(model), []
    for t, (frame, truth) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        result = tracker.step(frame, [Prompt(1, mask=truth)] if t == 0 else ())
        if t:
            scores.append(float(region_similarity(result.masks[0], truth)))
    return float(np.mean(scores))
