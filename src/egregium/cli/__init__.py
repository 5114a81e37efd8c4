"""The command line: `egregium study`, `report`, `verify` and `data`."""

from egregium.cli.app import main

__all__ = ["main"]
