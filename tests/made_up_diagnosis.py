"""A diagnosis as one might come out, made up: a cow that holds in poor light and is lost behind an occluder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.records import Record, write_records
from maskscope.report.page.diagnosis import PANELS, Facts, Picture
from maskscope.stages import STAGES, Stage

FRAMES, LAYERS = 60, 4
FAMILIES = {"illumination": 0.0, "viewpoint": 0.09, "speed": 0.02, "occlusion": 0.0}
LOST = range(33, 52)  # frames under occlusion, blamed on memory_conditioned
MAPS: tuple[Stage, ...] = ("image_embedding", "memory_conditioned", "prompt_attended", "memory_features")
_RISE = {"image_embedding": 0.86, "memory_conditioned": 0.97, "prompt_attended": 0.985, "memory_features": 0.96}


def write_diagnosis(folder: Path, clips: tuple[str, ...] = ("cow",), pictures: bool = True, seed: int = 0) -> Path:
    """Records of all sections, and pictures if wanted, in a folder."""
    shown = tuple(_pictures(folder, clips[0])) if pictures else ()
    facts = Facts(
        command=("maskscope", "diagnose", "cow.mp4", "--mask", "cow.png"),
        fps=24.0,
        maskscope_version="0.1.0",
        notes=("interjection was not tried: it was not asked for.",),
        pictures=shown,
    )
    rows = [row for number, clip in enumerate(clips) for row in records(clip, np.random.default_rng(seed + number))]
    write_records(rows, folder / "records.parquet", facts.to_json())
    return folder


def records(clip: str, rng: np.random.Generator) -> Iterator[Record]:
    """All rows of one clip."""
    base = partial(Record, run="made-up", clip=clip, object=1, model="compact", policy="stock")
    for family, drop in {"": 0.0, **FAMILIES}.items():
        row = partial(base, family=family, severity=3 if family else 0, transform=family)
        lost = LOST if family == "occlusion" else range(0)
        yield from _tracking(row, drop, lost, rng)
        yield from _separation(row, drop, lost, rng)
        yield from _attention(row, lost, rng)
        yield from _memory(row, lost, rng)
        yield from _scores(row, bool(lost), rng)
        if family:
            yield from _exchange(row, family, lost, rng)
    clean = partial(base, state="ok", stage="memory_conditioned")
    yield clean(metric="onset", tap="memory_attention.1.cross", value=0.11)
    yield base(metric="onset_p", value=0.002)
    yield clean(metric="onset_earliest", tap="memory_attention.0.cross")
    yield clean(metric="onset_latest", tap="memory_attention.1.mlp")


def _tracking(row: partial[Record], drop: float, lost: range, rng: np.random.Generator) -> Iterator[Record]:
    for t in range(1, FRAMES):
        j = float(np.clip(0.91 - drop + 0.03 * np.sin(t / 5) + rng.normal(0, 0.012), 0, 1))
        j = float(abs(rng.normal(0, 0.02))) if t in lost else j
        yield row(metric="j", frame=t, value=j)
        yield row(metric="outcome", frame=t, state=("drift" if t > 45 else "miss") if t in lost else "hit")
    if lost:
        place = partial(row, frame=lost[0])
        yield place(metric="loss", state="lost", value=float(len(lost)))
        yield place(metric="blame", state="memory_conditioned")
        yield place(metric="blame_confidence", value=0.87)
        yield place(metric="blame_reason", state="separation at memory_conditioned falls first, on frame 32")


def taps() -> list[tuple[Stage, str, float]]:
    """Stage, tap and the clean AUC there."""
    found: list[tuple[Stage, str, float]] = []
    found += [("image_embedding", f"trunk.stride{s}", auc) for s, auc in ((4, 0.62), (8, 0.7), (16, 0.8), (32, 0.84))]
    found += [("image_embedding", f"neck.stride{s}", auc) for s, auc in ((4, 0.7), (8, 0.79), (16, 0.86))]
    found.append(("image_embedding", "", 0.86))
    for layer in range(LAYERS):
        for part, more in (
            ("self", 0.0),
            ("cross", 0.05 if layer == 1 else 0.01),
            ("mlp", 0.06 if layer == 1 else 0.01),
        ):
            found.append(("memory_conditioned", f"memory_attention.{layer}.{part}", 0.88 + more + 0.05 * (layer > 1)))
    found.append(("memory_conditioned", "", 0.97))
    found += [("prompt_attended", f"mask_decoder.{block}", 0.975 + 0.005 * block) for block in range(2)]
    return [*found, ("prompt_attended", "", 0.985), ("memory_features", "", 0.96)]


def _separation(row: partial[Record], drop: float, lost: range, rng: np.random.Generator) -> Iterator[Record]:
    for t in range(1, FRAMES):
        for stage, tap, auc in taps():
            fall = 0.3 * (t in lost) * (stage != "image_embedding") + 0.05 * (t in lost) + drop
            value = float(np.clip(auc - fall + rng.normal(0, 0.015), 0, 1))
            yield row(metric="separation_auc", stage=stage, tap=tap, frame=t, value=value)
            if not tap:
                control = float(np.clip(rng.normal(0.6, 0.05), 0, 1))
                yield row(metric="separation_auc_control", stage=stage, frame=t, value=control)
        yield row(metric="separation_auc_position", frame=t, value=float(rng.normal(0.71, 0.02)))
        yield row(metric="separation_auc_rgb", frame=t, value=float(rng.normal(0.66, 0.02)))
        yield row(metric="early_j", stage="image_embedding", frame=t, value=float(abs(rng.normal(0.12, 0.04))))
        for layer in range(LAYERS):
            j = (0.35, 0.7, 0.85, 0.91)[layer] * (0.1 if t in lost else 1.0)
            place = partial(row, stage="memory_conditioned", tap=f"memory_attention.{layer}.mlp", frame=t)
            yield place(metric="early_j", value=float(np.clip(rng.normal(j, 0.02), 0, 1)))


def _attention(row: partial[Record], lost: range, rng: np.random.Generator) -> Iterator[Record]:
    slots = {"prompted": 9.0, **{f"recent_{i}": 7.0 / i for i in range(1, 7)}}
    for t in range(7, FRAMES, 2):
        for layer in range(LAYERS):
            say = partial(row, stage="memory_conditioned", tap=f"memory_attention.{layer}.cross", frame=t)
            for slot, strength in slots.items():
                now = strength * (0.2 if t in lost and slot != "prompted" else 1.0)
                yield say(metric=f"attention_enrichment.{slot}.object", value=float(now * rng.lognormal(0, 0.2)))
                yield say(metric=f"attention_enrichment.{slot}.background", value=float(0.5 * rng.lognormal(0, 0.2)))
            yield say(metric="attention_enrichment.pointers", value=float(2.2 * rng.lognormal(0, 0.2)))


def _memory(row: partial[Record], lost: range, rng: np.random.Generator) -> Iterator[Record]:
    for stage in STAGES:
        yield row(metric="window_distance", stage=stage, frame=1, state="too few frames in memory")
        for t in range(3, FRAMES):
            value = float(abs(rng.normal(1.1, 0.15)) + (2.5 if t in lost[:6] else 0.0))
            yield row(metric="window_distance", stage=stage, frame=t, value=value)


def _scores(row: partial[Record], lost: bool, rng: np.random.Generator) -> Iterator[Record]:
    say = partial(row, stage="prompt_attended")
    yield say(metric="predicted_iou.ece", value=0.24 if lost else 0.05)
    yield say(metric="predicted_iou.bias", value=0.22 if lost else 0.02 + float(rng.normal(0, 0.005)))
    yield say(metric="object_score.ece", value=0.11 if lost else 0.03)
    yield say(metric="object_score.ece_floor", value=0.02)
    yield say(metric="object_score.auc", state="all frames are of one kind")


def _exchange(row: partial[Record], family: str, lost: range, rng: np.random.Generator) -> Iterator[Record]:
    left = dict(zip(STAGES, (2.6, 1.4, 0.9, 0.7, 1.1), strict=True))
    for stage in STAGES:
        if family == "speed":
            yield row(metric="recovered_j", stage=stage, state="cannot be aligned: frames were left out")
            continue
        for t in range(1, FRAMES):
            for region, more in (("object", 1.0), ("background", 1.3)):
                if stage == "object_pointer" and region == "background":
                    continue
                distance = left[stage] * more * (1.8 if t in lost else 1.0) * float(rng.lognormal(0, 0.15))
                yield row(metric=f"filtering_distance.{region}", stage=stage, frame=t, value=distance)
            if stage != "image_embedding":
                ratio = left[stage] / 2.0 * float(rng.lognormal(0, 0.15))
                yield row(metric="filtering_ratio.object", stage=stage, frame=t, value=ratio)
        if not lost:
            yield row(metric="recovered_j", stage=stage, state="nothing to bring back")
            continue
        share = dict(zip(STAGES, (0.12, 0.88, 0.93, 0.1, 0.31), strict=True))[stage]
        for t in lost:
            yield row(metric="recovered_j", stage=stage, frame=t, value=float(rng.normal(share, 0.06)))
        yield row(metric="recovered_j", stage=stage, value=share)
        yield row(metric="carried_j", stage=stage, value=share * 0.9)


def _pictures(folder: Path, clip: str) -> Iterator[Picture]:
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for family in ("", "occlusion"):
        for frame in (10, 40):
            for number, panel in enumerate(PANELS):
                name = f"pictures/{clip}-{family or 'clean'}-{frame:05d}-{panel}.png"
                Image.fromarray(_panel(number, frame, bool(family) and frame in LOST)).save(folder / name)
                severity = 3 if family else 0
                yield Picture(
                    file=name,
                    kind="panel",
                    clip=clip,
                    family=family,
                    severity=severity,
                    panel=panel,
                    frame=frame,
                    object=1,
                )
    name = f"pictures/{clip}-occlusion.mp4"
    _video(folder / name)
    yield Picture(file=name, kind="overlay", clip=clip, family="occlusion", severity=3)


def _panel(number: int, frame: int, hidden: bool) -> NDArray[np.uint8]:
    """A disc on a slope, coarser at the positions; behind a bar if hidden. (90, 160, 3) uint8."""
    y, x = np.mgrid[:90, :160]
    disc = (x - 50 - frame) ** 2 + (y - 45) ** 2 < 22**2
    picture = np.stack([x, 90 + y, 200 - x // 2], -1).astype(float)
    picture[disc] = np.roll((220, 120, 60), number)
    if hidden:
        picture[:, 70:120] = 50 if number < 2 else 120
    if 0 < number < len(PANELS) - 1:
        picture = np.roll(picture, number, axis=-1)[::6, ::6].repeat(6, 0).repeat(6, 1)[:90, :160]
    if number == len(PANELS) - 1:
        picture = np.where((disc & (not hidden))[..., None], 255.0, 20.0) * np.ones(3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 320, 96, "yuv420p"
        for t in range(12):
            picture = np.full((96, 320, 3), 40, np.uint8)
            picture[30:60, 20 + 6 * t : 60 + 6 * t] = (220, 120, 60)
            picture[30:60, 180 + 6 * t : 220 + 6 * t] = (90, 120, 160)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
