"""The shell around all commands: help at once, errors as one sentence with exit code 2."""

import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from egregium.cli import app as application
from egregium.cli import main
from egregium.errors import EgregiumError

HEAVY = ("torch", "pandas", "scipy", "sklearn", "matplotlib")
COMMANDS = (["study"], ["report"], ["verify"], ["data"], ["data", "list"], ["data", "fetch"])


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def without_heavy(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter in which none of the heavy libraries can be imported."""
    block = f"import sys\nfor name in {HEAVY}: sys.modules[name] = None\n"
    return subprocess.run([sys.executable, "-W", "error", "-c", block + code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.out.lstrip().startswith("Usage: egregium")
    assert len(lines(shown.out)) > 5
    assert shown.err == ""


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    for command in ("study", "report", "verify", "data"):
        assert f"│ {command} " in shown


def test_typer_runner_agrees_with_main(capsys: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(application.app, ["study", "--help"])
    assert result.exit_code == 0
    assert main(["study", "--help"]) == 0
    assert lines(result.output)[1:] == lines(capsys.readouterr().out)[1:]


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_help_needs_no_heavy_import(command: list[str]) -> None:
    done = without_heavy(f"from egregium.cli import main\nsys.exit(main({[*command, '--help']!r}))")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "first"),
    [(["study", "digits"], "study of digits, 30 trainings x 100 pairs, run folder runs/digits"), (["--version"], "egregium ")],
)
def test_the_first_line_comes_before_the_heavy_imports(arguments: list[str], first: str) -> None:
    done = without_heavy(f"from egregium.cli import main\nsys.exit(main({arguments!r}))")
    assert first in done.stdout.splitlines()[0]


def test_python_dash_m(tmp_path: object) -> None:
    done = subprocess.run([sys.executable, "-m", "egregium", "--version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert re.fullmatch(r"egregium \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["stduy"], "Did you mean 'study'? (see egregium --help)"),
        (["study"], "Missing argument 'DATA'. (see egregium study --help)"),
        (["study", "digits", "--modles", "3"], "--models"),
        (["study", "digits", "--models", "0"], "greater than or equal to 1"),
        (["study", "digits", "--models", "many"], "--models"),
        (["study", "digits", "--likelihood", "cauchy"], "'gaussian', 'bernoulli'"),
        (["study", "digits", "--hidden", "wide"], "--hidden takes widths separated by commas"),
        (["study", "digits", "--hidden", "64,-1"], "--hidden takes widths separated by commas"),
        (["study", "digits", "--hidden", ","], "--hidden takes widths separated by commas"),
        (["study", "digits", "--relations", " , "], "--relations takes names separated by commas"),
        (["report"], "Missing argument 'RUN'"),
        (["report", "nowhere"], "nowhere is not a run folder"),
        (["verify", "nowhere"], "nowhere is not a run folder"),
        (["verify", "nowhere", "--sample", "-1"], "--sample"),
        (["data"], "Missing command. (see egregium data --help)"),
        (["data", "fetch"], "Missing argument 'NAME'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_sentence(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("egregium: ")
    assert shown.count("\n") == 1
    assert says in shown


def every_error(base: type[EgregiumError] = EgregiumError) -> list[type[EgregiumError]]:
    return [base, *(found for child in base.__subclasses__() for found in every_error(child))]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_of_the_library_is_one_sentence(
    error: type[EgregiumError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(**_: object) -> None:
        raise error("the disk\n is full", None) if error.__name__ == "NotConvergedError" else error("the disk\n is full")

    monkeypatch.setattr(application, "app", failing)
    assert main(["study", "digits"]) == 2
    assert capsys.readouterr().err == "egregium: the disk is full\n"


def test_a_defect_is_not_dressed_up_as_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(application, "app", failing)
    with pytest.raises(ZeroDivisionError):
        main(["study", "digits"])


def test_abort_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def failing(**_: object) -> None:
        raise typer.Abort

    monkeypatch.setattr(application, "app", failing)
    assert main(["study", "digits"]) == 2
    assert capsys.readouterr().err == "egregium: aborted\n"
