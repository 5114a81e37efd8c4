"""`egregium report` and `egregium verify`: what to do with a finished run folder."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from egregium.cli.output import emit, resumable, say
from egregium.errors import RunError

REPORT_EPILOG = """**Example**

`egregium report runs/digits`
"""

VERIFY_EPILOG = """**Examples**

Checksums of all files, and three results computed anew:

`egregium verify runs/digits`

Checksums alone, a matter of seconds:

`egregium verify runs/digits --sample 0`

**Exit codes**: 0 nothing found (of an unfinished run: so far), 1 problems found (one a line), 2 it could not be checked.
"""

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `egregium study` made.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, all else on stderr.")]


def report(run: Run, as_json: Json = False) -> None:
    """Write the report of a study: one HTML page that needs no network, and its figures as PNG and SVG.

    The page says in plain language how much of each relation would change if you retrained, and shows the figures
    that the answer rests on. It is written into the run folder and can be sent to anybody as it is.
    """
    say(f"egregium {version('egregium')}: report of {run}", quiet_stdout=as_json)
    _require(run)
    with resumable("Nothing is lost: the same command writes the report anew."):
        from egregium.report import write_report
        from egregium.runs.records import unfinished

        if missing := unfinished(run):
            raise RunError(f"{run} is unfinished: {missing}; the same `egregium study` command goes on.")
        page = write_report(run)
        if as_json:
            emit({"run": run, "report": page})
        else:
            say(f"Report: {page}")


def verify(
    run: Run,
    sample: Annotated[int, typer.Option(min=0, metavar="N", help="Recompute this many finished tasks and compare.")] = 3,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Which tasks are drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Check a run folder: every file against its checksum, and a sample of results against a new computation."""
    say(f"egregium {version('egregium')}: verifying {run}", quiet_stdout=as_json)
    _require(run)
    with resumable("Nothing was changed; the same command starts over."):
        from egregium.runs.progress import Bars
        from egregium.runs.records import unfinished
        from egregium.runs.verify import verify as find_problems

        missing = unfinished(run)
        problems = find_problems(run, sample=sample, seed=seed, progress=Bars("computed anew"))
        if as_json:
            emit({"run": run, "problems": problems, "unfinished": missing or None})
        else:
            for problem in problems:
                say(f"- {problem}")
            if problems:
                say(f"Problems found in {run}: {len(problems)}")
            elif not missing:
                alone = "" if any((run / "tasks").glob("*")) else " by its checksums; it holds no tasks to compute anew"
                say(f"{run} is sound{alone}.")
            if missing:
                say(f"{run} is unfinished: {missing}{'' if problems else ' and sound'}; the same command goes on.")
        if problems:
            raise typer.Exit(1)


def _require(run: Path) -> None:
    if not (run / "run.json").is_file():
        raise RunError(f"{run} is not a run folder: it holds no run.json; give the folder that `egregium study` printed.")
