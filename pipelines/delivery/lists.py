"""The lists of a night: the page, the sheet and every rep's workbook, in one folder."""

from __future__ import annotations

from pathlib import Path

from pipelines.delivery.folder import publish_folder
from pipelines.delivery.night import Night
from pipelines.delivery.page import page
from pipelines.delivery.sheet import sheet
from pipelines.delivery.workbook import workbooks


def publish_lists(folder: Path, night: Night) -> Path:
    """Show a night in a folder, all of it or what was there before: see `publish_folder`."""
    return publish_folder(folder, {"index.html": page(night), "leads.csv": sheet(night), **workbooks(night)})
