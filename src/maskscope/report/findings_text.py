"""What the findings say, in words and tables. Every sentence is chosen by intervals; none is written beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from maskscope.report.findings_layers import emergence
from maskscope.report.findings_losses import losses
from maskscope.report.findings_others import others
from maskscope.report.findings_shape import Findings
from maskscope.report.findings_stages import controls, filtering, separation
from maskscope.report.findings_words import (
    Part,
    Table,
)
from maskscope.report.page.names import count


def parts(found: Findings) -> tuple[Part, ...]:
    """All questions that the findings can answer, in order."""
    made: list[Callable[[Findings], Part | None]] = [filtering, emergence, controls, others, separation, losses]
    return tuple(part for make in made if (part := make(found)) is not None)


def setting(found: Findings, facts: Mapping[str, Any]) -> Table:
    """What was run."""
    request: Mapping[str, Any] = facts.get("request", {})
    model: Mapping[str, Any] = request.get("model", {})
    families = dict.fromkeys(each.family for each in found.conditions if not each.is_clean)
    severities = sorted({each.severity for each in found.conditions if not each.is_clean})
    frames = request.get("max_frames")
    rows = [
        ("clips", f"{len(found.clips)}, {count(found.objects, 'object')}, of {request.get('dataset', '?')}"),
        ("frames", f"at most {frames} of each clip" if frames else "all"),
        (
            "model",
            f"{model.get('name', '?')}, {model.get('precision', '?')}, memory policy {request.get('policy', '?')}",
        ),
        ("weights", f"SHA-256 {str(model.get('sha256', '?'))[:12]}..."),
        ("transformations", f"{', '.join(families) or 'none'}; severity {', '.join(map(str, severities)) or '-'}"),
        ("version", f"maskscope {facts.get('maskscope_version', '?')}"),
    ]
    failed: Mapping[str, str] = facts.get("failed", {})
    rows += [("left out", f"{clip}: {error}") for clip, error in failed.items()]
    return Table("What was run", ("", ""), tuple(rows))
