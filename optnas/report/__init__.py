"""One page about a study: a single HTML file that opens offline, for readers who didn't run it."""

from optnas.report.page import report_html, write_report

__all__ = ["report_html", "write_report"]
