"""What became of a run, against its plan: one model out of the journal and the evidence beside it, three forms of it.

    gather(site, run)      reads journal, attempt folders, backup sets, rehearsals and probes; changes nothing
    markdown(report)       for a ticket or a repository
    html(report)           one file with its pictures, that asks no network and prints well
    as_json(report)        the model itself

The same journal and the same evidence give the same bytes: no clock is read, and "now" is the journal's last event.
"""

from upgrader.report.forms import as_json, html, markdown
from upgrader.report.gather import gather
from upgrader.report.values import Report

__all__ = ["Report", "as_json", "gather", "html", "markdown"]
