"""`maskscope`: the verbs together, and how errors leave the program."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from maskscope import __version__
from maskscope.cli import (
    adapt,
    data,
    demo,
    diagnose,
    evaluate,
    finetune,
    label_next,
    models,
    observe,
    policies,
    prompts,
    readiness,
    report,
    stress,
    track,
    train,
    transform,
)
from maskscope.cli.console import INTERRUPTED, USER_ERROR, log_to_terminal
from maskscope.errors import MaskscopeError


class _OneLineErrors(TyperGroup):
    """A user's mistake is one line and exit code 2, Ctrl-C is 130; anything else is our fault: traceback and 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MaskscopeError as error:
            typer.echo(f"error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(USER_ERROR) from error
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Follow objects through videos with SAM 2: mark them once, get their masks on every frame.",
    epilog="Start with: maskscope demo",
)
app.command("track", help=track.HELP)(track.track)
app.command("transform", help=transform.HELP)(transform.transform)
app.command("train", help=train.HELP)(train.train)
app.command("adapt", help=adapt.HELP)(adapt.adapt)
app.command("finetune", help=finetune.HELP)(finetune.finetune)
app.command("label-next", help=label_next.HELP)(label_next.label_next)
app.command("evaluate", help=evaluate.HELP)(evaluate.evaluate)
app.command("stress", help=stress.HELP)(stress.stress)
app.command("diagnose", help=diagnose.HELP)(diagnose.diagnose)
app.command("observe", help=observe.HELP)(observe.observe)
app.command("readiness", help=readiness.HELP)(readiness.readiness)
app.command("prompts", help=prompts.HELP)(prompts.prompts)
app.command("report", help=report.HELP)(report.report)
app.command("models")(models.models)
app.command("policies")(policies.policies)
app.add_typer(data.app, name="data")
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"maskscope {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more of what is done.")] = False,
) -> None:
    log_to_terminal(verbose)


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="maskscope")


if __name__ == "__main__":
    main()
