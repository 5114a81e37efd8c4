"""The typer application and the one place where errors become sentences and exit codes.

Nothing here imports torch: `--help` and the first line of every command come at once, and each command imports what it
runs only after its first line.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from egregium.cli import data, runs, study
from egregium.cli.output import fail
from egregium.errors import EgregiumError

app = typer.Typer(
    name="egregium",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="**Exit codes**: 0 done, 1 `verify` found a problem, 2 an error (one sentence on stderr), 130 interrupted.",
)
app.command("study", epilog=study.EPILOG)(study.study)
app.command("report", epilog=runs.REPORT_EPILOG)(runs.report)
app.command("verify", epilog=runs.VERIFY_EPILOG)(runs.verify)
app.add_typer(data.app, name="data")


def _show_version(asked: bool) -> None:
    if asked:
        print(f"egregium {version('egregium')}")
        raise typer.Exit


@app.callback()
def egregium(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Measure what survives retraining in the latent space of a generative model.

    A deep generative model draws its latent space differently at every training, so a distance read off one training
    may be an accident of it. `egregium study` trains a model many times on your data, measures the same pairs of test
    points in every training, in the latent space's own coordinates and in the geometry that the decoder induces, and
    says how much of each would change if you retrained.

    From data to a page that you can open in a browser:

    - `egregium study digits` trains and measures; Ctrl-C is safe, the same command goes on

    - `egregium report runs/digits` writes the page and its figures

    - `egregium verify runs/digits` checks every file and recomputes a sample

    `egregium COMMAND --help` explains each with examples.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors made on purpose print one sentence on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        outcome = app(args=given or ["--help"], prog_name="egregium", standalone_mode=False, obj=given)
    except typer.TyperException as error:
        return fail(f"{error.format_message()} (see egregium {_command_of(given)}--help)")
    except EgregiumError as error:
        return fail(str(error))
    except typer.Abort:
        return fail("aborted")
    return outcome if isinstance(outcome, int) else 0


def _command_of(given: Sequence[str]) -> str:
    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    return f"{given[0]} " if given and given[0] in known else ""
