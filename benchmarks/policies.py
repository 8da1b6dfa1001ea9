"""Compare memory policies: the whole grid by one command, in the time there is, and the page "which policy when".

    python benchmarks/policies.py --data DAVIS --minutes 25 --jobs 2
    python benchmarks/policies.py --page
    python benchmarks/policies.py --data DAVIS --list

It runs three studies, each as `maskscope stress` would (the commands are printed), into a folder of results each, and
goes on where it was stopped. `short` has the data set's clips, clean and transformed; `long` the same, back and forth
with long absences; `drawn` made-up clips of that length. When time is up, or all is done, it writes digests of what is
there to benchmarks/results/policies, small enough to be kept, then docs/policies/which.md and the package's advice.
--page writes those two from the digests alone, and from the records of policy_memory.py, thinning.py and
policy_setting.py where there are any.

Jobs come in the order clean, mild, severe, all policies of a clip together, so that what time allows is comparable.
Shares of the time: `--share`, by default 0.7 short, 0.2 long, 0.1 drawn; a study that ends early leaves its rest to the
next. --list counts jobs and frames and computes nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from maskscope.cli.console import ProgressBar, stopping
from maskscope.cli.stress import split_policies
from maskscope.errors import MaskscopeError
from maskscope.model.checkpoints import locate
from maskscope.report.policy_advice import write_advice
from maskscope.report.policy_page import write_policy_page
from maskscope.studies.clip_identity import file_digest
from maskscope.studies.executors import Processes
from maskscope.studies.jobs import Executor, Here
from maskscope.studies.policy_digest import write_digest
from maskscope.studies.stress import StressOptions, run_stress, stress_jobs
from maskscope.studies.stress_clip import ModelSpec
from maskscope.studies.track import DTYPES

ROOT = Path(__file__).resolve().parents[1]
POLICIES = "stock,gated,motion,paths,distractor,composite"
STUDIES = ("short", "long", "drawn")


@dataclass(frozen=True)
class Study:
    """One call of `maskscope stress`.

    Attributes:
        name: of its folder and digest.
        dataset: what it runs on.
        options: its grid.
    """

    name: str
    dataset: str
    options: StressOptions

    def command(self, out: Path) -> list[str]:
        """The words that do the same, but for the limit of time."""
        o = self.options
        words = ["maskscope", "stress", self.dataset, "--out", str(out), "--policies", ",".join(o.policies)]
        if o.families:
            words += ["--families", ",".join(o.families)]
        words += ["--severities", ",".join(map(str, o.severities)), "--model", o.model]
        for option, value in (
            ("--long", o.long_frames), ("--sequences", ",".join(o.sequences)), ("--limit", o.limit),
            ("--material", o.material), ("--device", o.device),
            ("--precision", "" if o.precision == "auto" else o.precision),
        ):  # fmt: skip
            words += [option, str(value)] if value else []
        return words


def with_stock(text: str) -> tuple[str, ...]:
    """Policies apart, the control among them."""
    policies = split_policies([text])
    return policies if "stock" in policies else ("stock", *policies)


def studies(given: argparse.Namespace) -> list[Study]:
    """What the options ask for."""
    policies, of_long_clips = (with_stock(text) for text in (given.policies, given.long_policies or given.policies))
    base = StressOptions(
        model=given.model,
        policies=policies,
        sequences=tuple(given.clips.split(",")) if given.clips else (),
        limit=given.limit,
        device=given.device,
        precision=given.precision,
        material=given.material,
    )
    of_drawn = tuple(given.drawn_clips.split(",")) if given.drawn_clips else ()
    of_short = tuple(int(word) for word in given.severities.split(","))
    of_long = tuple(int(word) for word in given.long_severities.split(","))
    long = replace(base, policies=of_long_clips, families=(), severities=of_long, long_frames=given.long)
    found = [
        Study("short", str(given.data), replace(base, families=tuple(given.families.split(",")), severities=of_short)),
        Study("long", str(given.data), replace(long, limit=given.long_clips)),
        Study("drawn", f"drawn:{given.drawn}", replace(long, sequences=of_drawn, limit=None, material=None)),
    ]
    return [study for study in found if study.name in given.studies.split(",")]


def run(given: argparse.Namespace) -> bool:
    """Compute for the time there is; whether everything is done."""
    ends, done = time.monotonic() + 60 * given.minutes, True
    shares = dict(zip(STUDIES, map(float, given.share.split(",")), strict=True))
    waiting = studies(given)
    with stopping() as asked:
        while waiting and not asked():
            study = waiting.pop(0)
            left = ends - time.monotonic()
            part = shares[study.name] / sum(shares[each.name] for each in (study, *waiting))
            until = time.monotonic() + part * left
            out = given.out / study.name
            command = study.command(out)
            print(f"{study.name}, {max(part * left, 0) / 60:.1f} minutes:\n  {shlex.join(command)}", flush=True)
            executor: Executor = Processes(given.jobs) if given.jobs > 1 else Here()
            with ProgressBar() as bar:
                summary = run_stress(
                    study.dataset, out, study.options, executor=executor, command=command, progress=bar,
                    stop=lambda until=until: asked() or time.monotonic() > until,
                )  # fmt: skip
            found = summary.jobs
            print(
                f"  {len(found.files)} jobs done, {found.computed} now; {found.left} left, {len(found.failed)} failed"
            )
            done = done and not found.left and not found.failed
            for label, error in found.failed.items():
                print(f"  failed: {label}: {error}", file=sys.stderr)
            if found.files:
                facts = json.loads((out / "stress.json").read_text(encoding="utf-8"))
                rows = write_digest(found.files, given.records / f"{study.name}.parquet", facts, keep=given.keep)
                print(f"  {rows} rows kept in {given.records / study.name}.parquet")
    return done and not waiting


def count(given: argparse.Namespace) -> None:
    """Say what there would be to compute."""
    for study in studies(given):
        model = ModelSpec(given.model, file_digest(locate(given.model)), "float32")
        jobs = stress_jobs(study.dataset, study.options, model)
        frames = sum(job.size for job in jobs)
        print(f"{study.name}: {len(jobs)} jobs, {frames} frames\n  {shlex.join(study.command(given.out / study.name))}")


def write_page(given: argparse.Namespace) -> None:
    """The page and the advice, from the digests there are."""
    digests = [file for name in STUDIES if (file := given.records / f"{name}.parquet").exists()]
    advice = write_policy_page(
        digests, given.write, memory=given.memory, thinning=given.thinning, setting=given.setting
    )
    print(f"wrote {given.write} and {write_advice(advice, given.advice)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="data set with masks on every frame")
    parser.add_argument("--material", type=Path, metavar="DIR", help="data set that lends occluders and footage")
    parser.add_argument("--studies", default=",".join(STUDIES), metavar="NAME[,NAME]", help="only these")
    parser.add_argument("--policies", default=POLICIES, metavar="NAME[:key=value,...]", help="stock is always there")
    parser.add_argument("--families", default="occlusion,interjection/cut,speed,lookalike", metavar="NAME[,NAME]")
    parser.add_argument("--severities", default="1,3,5", metavar="N[,N]", help="of the families")
    parser.add_argument("--clips", default="", metavar="NAME[,NAME]", help="of the data set, only these")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N clips of the data set")
    parser.add_argument("--long", type=int, default=3000, metavar="N", help="frames of long clips")
    parser.add_argument("--long-severities", default="4", metavar="N[,N]", help="of long clips")
    parser.add_argument("--long-policies", metavar="NAME[:key=value,...]", help="of long clips (as --policies)")
    parser.add_argument("--long-clips", type=int, default=2, metavar="N", help="of the data set made long")
    parser.add_argument("--drawn", type=int, default=2, metavar="N", help="made-up clips")
    parser.add_argument("--drawn-clips", default="", metavar="NAME[,NAME]", help="only these, such as drawn-02")
    parser.add_argument("--keep", action="store_true", help="what the digests have and this run has not stays in them")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--device", metavar="NAME")
    parser.add_argument("--precision", choices=("auto", *DTYPES), default="auto")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N", help="for computing")
    parser.add_argument("--share", default="0.7,0.2,0.1", metavar="A,B,C", help="of the time, for each study")
    parser.add_argument("--out", type=Path, default=ROOT / "runs/policies", metavar="DIR", help="all results")
    parser.add_argument("--records", type=Path, default=ROOT / "benchmarks/results/policies", metavar="DIR")
    parser.add_argument("--write", type=Path, default=ROOT / "docs/policies/which.md", metavar="FILE")
    parser.add_argument("--advice", type=Path, metavar="FILE", help="(the package's)")
    parser.add_argument("--memory", type=Path, default=ROOT / "benchmarks/records/policy-memory.json", metavar="FILE")
    parser.add_argument(
        "--thinning", type=Path, default=ROOT / "benchmarks/records/thinning-compact.json", metavar="FILE"
    )
    parser.add_argument(
        "--setting", type=Path, default=ROOT / "benchmarks/records/composite-drift.json", metavar="FILE"
    )
    parser.add_argument("--list", action="store_true", help="count, compute nothing")
    parser.add_argument("--page", action="store_true", help="only the page and the advice, from the digests")
    given = parser.parse_args()
    if given.data is None and not given.page:
        parser.error("name a data set with --data, or ask for --page")
    try:
        if given.list:
            count(given)
            return
        done = given.page or run(given)
        write_page(given)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    if not done:
        print("not everything is computed; the same command goes on", file=sys.stderr)


if __name__ == "__main__":
    main()
