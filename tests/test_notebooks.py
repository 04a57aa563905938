"""Every notebook runs from its first cell to its last, shows pictures, and is kept without what it showed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

if TYPE_CHECKING:
    from conftest import MadeUp

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PNG = b"\x89PNG\r\n\x1a\n"
pytestmark = pytest.mark.xdist_group("company")


@pytest.fixture(autouse=True)
def _own_homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Jupyter writes beside the test and not into the user's home."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def _read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def _execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    return client.execute()


def test_there_are_three_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == ["01_look_at_the_data.ipynb", "02_read_a_backtest.ipynb", "03_why_this_lead.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_an_error_or_a_warning_and_shows_pictures(path: Path, company: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSCORE_CONFIG", str(company.config))
    shown = [output for cell in _execute(_read(path), ROOT).cells for output in cell.get("outputs", [])]
    assert [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"] == []
    pictures = [base64.b64decode(output.data["image/png"]) for output in shown if "image/png" in output.get("data", {})]
    assert len(pictures) >= 1
    assert all(picture.startswith(PNG) for picture in pictures)


def test_without_a_company_one_sentence_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSCORE_CONFIG", "nowhere/leadscore.toml")
    # A relative path is read from the root of the repository, wherever the notebook was opened.
    with pytest.raises(CellExecutionError) as error:
        _execute(_read(NOTEBOOKS[0]), ROOT / "notebooks")
    assert error.value.ename == "Problem"
    assert error.value.evalue == (
        f"There is no {ROOT}/nowhere/leadscore.toml: run `make demo` to make up a company, or let LEADSCORE_CONFIG name your own leadscore.toml."
    )


def test_all_notebooks_find_the_company_in_the_same_words() -> None:
    first_cells = [next(cell.source for cell in _read(path).cells if cell.cell_type == "code") for path in NOTEBOOKS]
    found = [source[source.index("here = Path.cwd()") : source.index("prepare(settings.home_folder)")] for source in first_cells]
    assert 'os.environ.get("LEADSCORE_CONFIG", ".leadscore/demo/leadscore.toml")' in found[0]
    assert found == [found[0]] * 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_what_it_showed(path: Path) -> None:
    notebook = _read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[] for _ in code]
    assert [cell.execution_count for cell in code] == [None for _ in code]
    assert notebook.metadata == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    assert 6 <= len(notebook.cells) <= 10
    assert [cell.source for cell in code if "mlflow" in cell.source or "prefect" in cell.source] == []
