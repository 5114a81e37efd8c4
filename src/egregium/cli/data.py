"""`egregium data`: the data sets known by name."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from egregium.cli.output import emit, resumable, say

FETCH_EPILOG = """**Examples**

Into the cache of this machine:

`egregium data fetch mnist`

Into a folder of your own, and a study of what lies there:

`egregium data fetch fashion-mnist --data-dir data`

`egregium study fashion-mnist --data-dir data`
"""

app = typer.Typer(help="List and fetch the data sets known by name.", rich_markup_mode="markdown")

Folder = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="A folder that holds, or is to hold, NAME/; EGREGIUM_DATA does the same (default: the cache)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, all else on stderr.")]


@app.command("list")
def list_(data_dir: Folder = None, as_json: Json = False) -> None:
    """List the data sets known by name: what they are, how many points they have, and whether they lie on this machine."""
    say(f"egregium {version('egregium')}: data sets known by name", quiet_stdout=as_json)
    from rich.console import Console
    from rich.table import Table

    from egregium.data import catalog

    here = {entry.name: catalog.present(entry.name, data_dir=data_dir) for entry in catalog.ENTRIES}
    if as_json:
        emit(
            {
                entry.name: {
                    "title": entry.title,
                    "shape": entry.shape,
                    "train": entry.train,
                    "test": entry.test,
                    "licence": entry.licence,
                    "source": entry.source,
                    "download_bytes": entry.size,
                    "present": here[entry.name],
                }
                for entry in catalog.ENTRIES
            }
        )
        return
    table = Table("name", "what it is", "points", "here")
    for entry in catalog.ENTRIES:
        points = f"{entry.train:,}" if entry.test is None else f"{entry.train:,} + {entry.test:,}"
        size = " x ".join(str(side) for side in entry.shape)
        table.add_row(
            entry.name,
            f"{entry.title}, {size}",
            points,
            "yes" if here[entry.name] else f"no, {entry.size / 1e6:.0f} MB to fetch",
        )
    Console().print(table)


@app.command("fetch", epilog=FETCH_EPILOG)
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `egregium data list` shows.")],
    data_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Download a data set, unless it is there already, and check it against its published checksums.

    A file appears under its name only when it is complete and its checksum is right.
    """
    say(f"egregium {version('egregium')}: fetching {name}", quiet_stdout=as_json)
    with resumable("Files that were complete are kept; the same command fetches the rest."):
        from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

        from egregium.data import catalog

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(*columns, disable=as_json) as bars:
            shown: dict[str, TaskID] = {}

            def show(file: str, done: int, total: int) -> None:
                if file not in shown:
                    shown[file] = bars.add_task(file, total=total)
                bars.update(shown[file], completed=done)

            folder = catalog.fetch(name, data_dir=data_dir, progress=show)
        if as_json:
            emit({"name": name, "folder": folder})
        else:
            say(f"{name}: {folder}")
