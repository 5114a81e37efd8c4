"""Pictures and plain words for a finished study, on one page that needs no network."""

from egregium.report.page import write_report

__all__ = ["write_report"]
