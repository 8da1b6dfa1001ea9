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
from maskscope.report.page.names import SHORT_NAMES, count, sentence
from maskscope.report.page.names import listed as listed_words
from maskscope.report.page.poster import poster
from maskscope.report.page.rows import Condition
from maskscope.report.page.section import Evidence, Section
from maskscope.report.page.verdict import losses_of
from maskscope.stages import STAGES

MOST_VIDEO_BYTES: Final = 48 << 20
"""Of videos inside the page; what is beyond is left beside it and linked."""
_PANEL_NAMES: Final[dict[str, str]] = {
    "input": "frame",
    "mask": "mask",
    **{str(stage): SHORT_NAMES[stage] for stage in STAGES},
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
    parts.insert(
        0,
        "<p class='note'>Colours are the three main directions in which a position's features vary on the clean clip, "
        "fitted once: equal colours are equal features within a column, not between columns. The pointer map shows "
        "on the darkened frame where the object's pointer acts. Press a picture to see it larger.</p>",
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
            address = poster(path, _first_loss(evidence, each))
            still = f' poster="{address}"' if address else ""
            source = f'src="data:video/mp4;base64,{b64encode(path.read_bytes()).decode()}"'
            body = f'<video controls muted loop playsinline preload="none"{still} {source}></video>'
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
    which = "" if object_id is None else f", object {object_id}"
    lost = {
        loss.condition
        for loss in losses_of(evidence.rows)
        if loss.clip == clip
        and loss.frame <= frame < loss.frame + loss.frames
        and (object_id is None or loss.object in (None, object_id))
    }
    first = [each for each in shown if each.is_clean or each in lost] if lost & set(shown) else []
    others = [each for each in shown if each not in first]
    begin = f"{clip}, frame {frame}{which}"
    if not first:
        body = _rows(evidence, rows, others)
        title = f"{begin}: the object is followed in every row"
        return f'<details class="strips"><summary>{escape(title)}</summary><figure>{body}</figure></details>'
    names = ", ".join(str(each) for each in first if not each.is_clean) or str(first[0])
    body = _rows(evidence, rows, first)
    if others:
        which = listed_words([str(each) for each in others])
        body += f"<details><summary>The same under {escape(which)}: followed</summary>"
        body += f"{_rows(evidence, rows, others)}</details>"
    return f"<figure><h3>{escape(begin)}: the object is lost under {escape(names)}</h3>{body}</figure>"


def _rows(evidence: Evidence, rows: dict[Condition, dict[str, Picture]], shown: Sequence[Condition]) -> str:
    """One above the other; on a wide screen the first alone names its panels."""
    return "".join(
        f"<h4>{escape(sentence(str(condition)))}</h4>"
        f"<div class='strip{' later' if i else ''}'>{_panels(evidence, rows[condition])}</div>"
        for i, condition in enumerate(shown)
    )


def _panels(evidence: Evidence, row: dict[str, Picture]) -> str:
    folder = evidence.diagnosis.folder
    return "".join(
        f'<div><img src="{_png(folder / row[name].file)}" alt="{_PANEL_NAMES[name]}" '
        f'title="{escape(_says(evidence, row[name]))}">'
        f"<span>{_PANEL_NAMES[name]}</span></div>"
        for name in PANELS
        if name in row
    )


def _says(evidence: Evidence, picture: Picture) -> str:
    condition = evidence.rows.known(Condition(picture.family, picture.severity))
    return f"{_PANEL_NAMES[picture.panel]}, {picture.clip} {_under(condition)}, frame {picture.frame}"


def _under(condition: Condition) -> str:
    return str(condition) if condition.is_clean else f"under {condition}"


def _png(path: Path) -> str:
    return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"


def _first_loss(evidence: Evidence, picture: Picture) -> int:
    """Frame on which a video's object is lost, or its first."""
    of = Condition(picture.family, picture.severity)
    frames = [each.frame for each in losses_of(evidence.rows) if each.condition == of and each.clip == picture.clip]
    return min(frames, default=0)


def _video_title(evidence: Evidence, picture: Picture) -> str:
    condition = evidence.rows.known(Condition(picture.family, picture.severity))
    if condition.is_clean:
        return f"{picture.clip} as filmed"
    losses = [each for each in losses_of(evidence.rows) if each.condition == condition and each.clip == picture.clip]
    begin = f"{picture.clip}, as filmed (left) and under {condition} (right)"
    if not losses:
        return f"{begin}: never lost"
    return f"{begin}: {count(len(losses), 'loss')}, the first at frame {losses[0].frame}"
