"""What the readiness page says of labelling: the study's record, cut down to what the package carries.

python benchmarks/labelling_time.py benchmarks/results/labelling_finetune.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from maskscope.errors import RecordError
from maskscope.readiness.labelling import ASSET, study_of

OUT = Path(__file__).resolve().parents[1] / "src" / "maskscope" / "assets" / ASSET


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path, metavar="RECORD", help="of benchmarks/labelling.py --use finetune")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="(the package's own)")
    given = parser.parse_args()
    try:
        record = json.loads(given.record.read_text(encoding="utf-8"))
        study = study_of(record.get("digest"), str(record.get("command", "")))
    except (OSError, ValueError, AttributeError) as error:
        parser.exit(2, f"error: {given.record} cannot be read as a record ({error})\n")
    except RecordError as error:
        parser.exit(2, f"error: {error}\n")
    given.out.write_text(json.dumps(asdict(study), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
