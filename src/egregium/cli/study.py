"""`egregium study`: many trainings on one data set, the same pairs measured in all of them."""

import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from egregium.cli.output import emit, resumable, say
from egregium.errors import OptionError

MODEL = "The model"
MEASUREMENT = "The measurement"
DATA = "The data"
RUN = "The run"

EPILOG = """**Examples**

The main job, 30 trainings and 100 pairs of handwritten digits, a few minutes on two cores:

`egregium study digits`

MNIST from a local folder with its four files, eight latent dimensions, convolutional networks:

`egregium study mnist --data-dir data/mnist --latent-dim 8 --conv --out runs/mnist-8`

Images of your own, resized to 32 x 32, a first look with few trainings:

`egregium study photographs/ --size 32 --models 5 --pairs 50`

A table of your own, one row a point, only two relations:

`egregium study cells.csv --hidden 128,128 --relations euclidean,geodesic`
"""


Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A data set by name (see `egregium data list`), or a path: .npy, .npz, .csv or .parquet (numbers alone, but "
        "for labels in a column called labels, label or y), a folder of images, or a tar or zip of one.",
    ),
]
Models = Annotated[int, typer.Option(min=1, metavar="N", help="Trainings, one a seed.", rich_help_panel=MEASUREMENT)]
Pairs = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Pairs of test points, the same in all trainings.", rich_help_panel=MEASUREMENT),
]
Relations = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME",
        help="Measure only these relations (default: all; a wrong name lists them).",
        rich_help_panel=MEASUREMENT,
    ),
]
LatentDim = Annotated[int, typer.Option(min=1, metavar="N", help="Dimension of the latent space.", rich_help_panel=MODEL)]
Decoders = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", help="Decoders on one encoder; their spread is the model's uncertainty.", rich_help_panel=MODEL
    ),
]
Convolutional = Annotated[
    bool,
    typer.Option("--conv/--mlp", help="Networks: convolutional (images only) or fully connected.", rich_help_panel=MODEL),
]
Hidden = Annotated[
    str | None,
    typer.Option(
        metavar="WIDTH,WIDTH",
        help="Widths of hidden layers (default: the model's).",
        rich_help_panel=MODEL,
    ),
]
Likelihood = Annotated[
    Literal["gaussian", "bernoulli"],
    typer.Option(help="Noise on the data; only with known noise is the geometry identifiable.", rich_help_panel=MODEL),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="At most this many passes over the data (default: the model's own; a held-out part stops earlier).",
        rich_help_panel=MODEL,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the files of a named data set lie, instead of the cache; EGREGIUM_DATA does the same.",
        rich_help_panel=DATA,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(min=1, metavar="PIXELS", help="Scale images (their central square) to this side.", rich_help_panel=DATA),
]
Standardize = Annotated[
    bool,
    typer.Option(
        "--standardize",
        help="Give every column of a table or array mean 0 and standard deviation 1; images are in [0, 1] anyway.",
        rich_help_panel=DATA,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="N",
        help="Use at most N points for training and N for testing, drawn at random.",
        rich_help_panel=DATA,
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of everything random.", rich_help_panel=RUN)]
Workers = Annotated[int, typer.Option(min=1, metavar="N", help="Processes at work, one thread each.", rich_help_panel=RUN)]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="The run folder (default: runs/NAME).", rich_help_panel=RUN),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Go on in a folder that was made by other options, data or code.", rich_help_panel=RUN),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on stdout, all else on stderr.", rich_help_panel=RUN)
]


def study(
    context: typer.Context,
    data: Source,
    models: Models = 30,
    pairs: Pairs = 100,
    relations: Relations = None,
    latent_dim: LatentDim = 2,
    decoders: Decoders = 8,
    convolutional: Convolutional = False,
    hidden: Hidden = None,
    likelihood: Likelihood = "gaussian",
    epochs: Epochs = None,
    data_dir: DataDir = None,
    size: Size = None,
    standardize: Standardize = False,
    limit: Limit = None,
    seed: Seed = 0,
    workers: Workers = 2,
    out: Out = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Train a model many times on DATA and measure how much each relation changes.

    Writes a run folder: checkpoints, `table.parquet` with a row per training, pair and relation, `summary.parquet` with
    the statistics, and `run.json` with the resolved options and versions. Finished work is never done twice: after
    Ctrl-C, a crash or a power cut the same command goes on where it stopped and ends with the same table.

    One training is a valid study: it measures, and says that dispersion needs a second one.
    """
    folder = out if out is not None else Path("runs") / _name(data)
    options = {
        "data": data,
        "data_dir": None if data_dir is None else str(data_dir),
        "size": size,
        "standardize": standardize,
        "limit": limit,
        "models": models,
        "pairs": pairs,
        "latent_dim": latent_dim,
        "decoders": decoders,
        "convolutional": convolutional,
        "hidden": _widths(hidden),
        "likelihood": likelihood,
        "epochs": epochs,
        "relations": _names(relations),
        "seed": seed,
    }
    amount = f"{models} training{'s' if models > 1 else ''} x {pairs} pairs"
    say(f"egregium {version('egregium')}: study of {data}, {amount}, run folder {folder}", quiet_stdout=as_json)
    with resumable(f"What is finished is kept in {folder}; the same command goes on from there: {_again(context)}"):
        _run(options, folder, workers, force, as_json)


def _run(options: dict[str, Any], folder: Path, workers: int, force: bool, as_json: bool) -> None:
    from egregium.cli.summary import records, show
    from egregium.identifiability.campaign import described, run_study
    from egregium.runs.progress import Bars

    say(f"Data: {described(options)}", quiet_stdout=as_json)
    done = run_study(options, folder, workers=workers, force=force, progress=Bars())
    if as_json:
        emit({"run": done, "table": done / "table.parquet", "summary": records(done)})
    else:
        show(done)
        say(f"Table: {done / 'table.parquet'}\nNext:  egregium report {shlex.quote(str(done))}")


def _name(data: str) -> str:
    """A folder name for a data set: its own name, or the file's or folder's without what follows the first dot."""
    return Path(data).resolve().name.split(".")[0] or "study"


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise OptionError(f"--relations takes names separated by commas, such as euclidean,geodesic, and was given {text!r}.")
    return names


def _widths(text: str | None) -> list[int] | None:
    if text is None:
        return None
    widths = [width.strip() for width in text.split(",")]
    if not all(width.isascii() and width.isdigit() and int(width) > 0 for width in widths):
        raise OptionError(f"--hidden takes widths separated by commas, such as 256,256, and was given {text!r}.")
    return [int(width) for width in widths]


def _again(context: typer.Context) -> str:
    return shlex.join(["egregium", *(context.obj or sys.argv[1:])])
