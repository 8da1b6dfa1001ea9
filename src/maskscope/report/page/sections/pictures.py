"""Strips of the five positions for chosen frames, and overlays clean beside transformed, all inside the page."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from maskscope.report.page.charts import Chart
from maskscope.report.page.diagnosis import PANELS, Picture
from maskscope.report.page.names import STAGE_NAMES, count, sentence
from maskscope.report.page.rows import Condition
from maskscope.report.page.section import Evidence, Section
from maskscope.report.page.verdict import losses_of
from maskscope.stages import STAGES

MOST_VIDEO_BYTES: Final = 48 << 20
"""Of videos inside the page; what is beyond is left beside it and linked."""
_PANEL_NAMES: Final[dict[str, str]] = {
    "input": "frame",
    "mask": "mask",
    **{str(stage): STAGE_NAMES[stage].short for stage in STAGES},
    "object_pointer": "pointer map",
}


def strips(evidence: Evidence) -> Section:
    """For each chosen frame the frame, what the five positions make of it, and the mask; clean above transformed."""
    anchor, heading = "strips", "Through the five positions"
    question = "What is left of the object at each position?"
    pictures = [each for each in evidence.diagnosis.facts.pictures if each.kind == "panel"]
    groups: dict[tuple[str, int, int | None], list[Picture]] = defaultdict(list)
    for each in pictures:
        groups[each.clip, each.frame or 0, each.object].append(each)
    parts: list[Chart | str] = [_strip(evidence, *key, group) for key, group in groups.items()]
    parts = [part for part in parts if part]
    if not parts:
        missing = f"{_why_none(pictures)} (pictures of the kind panel)."
        return Section(anchor, heading, question, missing=missing)
    parts.append(
        "<p class='note'>Colours are the three main directions in which a position's features vary on the clean clip, "
        "fitted once: equal colours are equal features within a column, not between columns. The pointer map shows "
        "where the object's pointer acts.</p>"
    )
    return Section(anchor, heading, question, parts)


def overlays(evidence: Evidence) -> Section:
    """Videos with masks drawn in, the clip as it is on the left and the transformed one on the right."""
    anchor, heading, question = "videos", "Side by side", "What does it look like?"
    folder, left = evidence.diagnosis.folder, MOST_VIDEO_BYTES
    videos = [each for each in evidence.diagnosis.facts.pictures if each.kind == "overlay"]
    parts: list[Chart | str] = []
    for each in videos:
        path = folder / each.file
        if not path.is_file():
            continue
        title = _video_title(evidence, each)
        size = path.stat().st_size
        if size <= left:
            left -= size
            source = f'src="data:video/mp4;base64,{b64encode(path.read_bytes()).decode()}"'
            body = f'<video controls muted loop playsinline preload="metadata" {source}></video>'
        else:
            body = f'<p>The video is too large for this page: <a href="{escape(each.file)}">{escape(each.file)}</a></p>'
        parts.append(f"<figure><h3>{escape(title)}</h3>{body}</figure>")
    missing = "" if parts else f"{_why_none(videos)} (pictures of the kind overlay)."
    return Section(anchor, heading, question, parts, missing)


def _why_none(listed: Sequence[Picture]) -> str:
    return "The pictures that the records name are not beside them" if listed else "No pictures were kept"


def _strip(evidence: Evidence, clip: str, frame: int, object_id: int | None, pictures: Sequence[Picture]) -> str:
    """Rows of conditions, columns of panels; empty where no file is there."""
    order = {condition: i for i, condition in enumerate(evidence.conditions)}
    rows: dict[Condition, dict[str, Picture]] = defaultdict(dict)
    for each in pictures:
        if (evidence.diagnosis.folder / each.file).is_file():
            rows[evidence.rows.known(Condition(each.family, each.severity))][each.panel] = each
    if not rows:
        return ""
    shown = sorted(rows, key=lambda condition: order.get(condition, len(order)))
    body = "".join(
        f"<h4>{escape(sentence(str(condition)))}</h4><div class='strip'>{_panels(evidence, rows[condition])}</div>"
        for condition in shown
    )
    which = "" if object_id is None else f", object {object_id}"
    lost = [
        str(loss.condition)
        for loss in losses_of(evidence.rows)
        if loss.clip == clip
        and loss.frame <= frame < loss.frame + loss.frames
        and (object_id is None or loss.object in (None, object_id))
        and loss.condition in rows
    ]
    says = f"the object is lost under {', '.join(lost)}" if lost else "the object is followed in every row"
    return f"<figure><h3>{escape(clip)}, frame {frame}{which}: {escape(says)}</h3>{body}</figure>"


def _panels(evidence: Evidence, row: dict[str, Picture]) -> str:
    folder = evidence.diagnosis.folder
    return "".join(
        f'<div><img src="{_png(folder / row[name].file)}" alt="{_PANEL_NAMES[name]}">'
        f"<span>{_PANEL_NAMES[name]}</span></div>"
        for name in PANELS
        if name in row
    )


def _png(path: Path) -> str:
    return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"


def _video_title(evidence: Evidence, picture: Picture) -> str:
    condition = evidence.rows.known(Condition(picture.family, picture.severity))
    if condition.is_clean:
        return f"{picture.clip} as filmed"
    losses = [each for each in losses_of(evidence.rows) if each.condition == condition and each.clip == picture.clip]
    begin = f"{picture.clip}, as filmed (left) and under {condition} (right)"
    if not losses:
        return f"{begin}: never lost"
    return f"{begin}: {count(len(losses), 'loss')}, the first at frame {losses[0].frame}"
