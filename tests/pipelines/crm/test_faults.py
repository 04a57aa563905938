"""Every fault at every place of every vendor's API: what passes loses and doubles nothing, what does not is one sentence and can be gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from features.problem import Problem
from pipelines.outbox import Outbox
from tests.pipelines.crm.vendors.connectors import CONNECTORS
from tests.pipelines.crm.vendors.faults import LASTING, PASSING, Disturbed, Fault
from tests.pipelines.crm.vendors.loopback import Answer, Asked, Vendor, serving


@dataclass
class _Elsewhere(Vendor):
    """Another server, which answers whatever it is asked, and should be asked nothing."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return Answer(200, b"{}")


@pytest.fixture
def elsewhere() -> Iterator[_Elsewhere]:
    other = _Elsewhere()
    with serving(other):
        yield other


@cache
def _undisturbed(name: str) -> Any:
    """What comes of a connector with which nothing goes wrong."""
    connector = CONNECTORS[name]
    vendor = connector.vendor()
    with serving(vendor), TemporaryDirectory() as folder:
        return connector.use(vendor.url, lambda seconds: None, Path(folder))


def _sent_to(place: _Elsewhere, fault: Fault) -> Fault:
    """A fault whose redirects lead to this place."""

    def failed(vendor: Vendor, asked: Asked) -> Answer:
        said = fault(vendor, asked)
        return Answer(said.status, said.body, {**said.headers, **({"Location": f"{place.url}{asked.path}"} if "Location" in said.headers else {})})

    return failed


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("name", CONNECTORS)
def test_what_passes_loses_and_doubles_nothing(name: str, fault: str, tmp_path: Path) -> None:
    connector, waits = CONNECTORS[name], list[float]()
    vendor = Disturbed(connector.vendor(), PASSING[fault])
    with serving(vendor):
        done = connector.use(vendor.url, waits.append, tmp_path)
    assert connector.right(vendor.vendor, done)
    assert done == _undisturbed(name)
    assert set(vendor.asked) == set(connector.places), "every place failed"
    assert (7.0 in waits) is (fault == "429 with seconds to wait")
    assert any(25 < seconds <= 30 for seconds in waits) is (fault == "429 with a date to wait for")


@pytest.mark.parametrize("fault", LASTING)
@pytest.mark.parametrize("name", CONNECTORS)
def test_what_does_not_pass_is_one_sentence_and_can_be_gone_on_with(
    name: str, fault: str, tmp_path: Path, elsewhere: _Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = CONNECTORS[name]
    failed, sentence = LASTING[fault]
    for number, place in enumerate(connector.places):
        # A row may be to blame, and then is refused by itself.
        if (fault, place) == ("404", "POST objects/*/batch/update"):
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        vendor = Disturbed(connector.vendor(), _sent_to(elsewhere, failed), place, lasting=True)
        with serving(vendor), monkeypatch.context() as impatient:
            if fault in _TAKEN.get(place, ()):
                assert connector.right(vendor.vendor, connector.use(vendor.url, lambda seconds: None, folder))
                continue
            if fault == "no answer in time":
                _wait_for_a_moment(impatient)
            with pytest.raises(Problem, match=sentence.format(token=connector.token)) as said:
                connector.use(vendor.url, lambda seconds: None, folder)
            assert str(said.value).endswith(".")
            impatient.undo()
            vendor.only = "nowhere"
            # A read keeps nothing, and begins anew.
            if name.endswith("written"):
                assert connector.right(vendor.vendor, connector.use(vendor.url, lambda seconds: None, folder))
    assert elsewhere.asked == []


@pytest.mark.parametrize("name", [name for name in CONNECTORS if name.endswith("written")])
@pytest.mark.parametrize("settled", [0, 1, 2])
def test_a_write_that_is_killed_before_it_is_noted_is_gone_on_with(name: str, settled: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = CONNECTORS[name]
    vendor, noted = connector.vendor(), list[int]()
    with serving(vendor):
        with monkeypatch.context() as killing:
            settle = Outbox.settle

            def killed(outbox: Outbox, *answered: Any) -> None:
                if len(noted) == settled:
                    raise KeyboardInterrupt
                noted.append(1)
                settle(outbox, *answered)

            killing.setattr(Outbox, "settle", killed)
            with pytest.raises(KeyboardInterrupt):
                connector.use(vendor.url, lambda seconds: None, tmp_path)
        done = connector.use(vendor.url, lambda seconds: None, tmp_path)
    # Batches of five: those that were noted are not sent again, the one that was not is, with the same values.
    assert (done.sent, done.unchanged) == (12 - 5 * settled, 5 * settled)
    assert connector.right(vendor, done)


@pytest.mark.parametrize("name", CONNECTORS)
def test_no_proxy_hears_what_is_said_to_this_machine(name: str, tmp_path: Path, elsewhere: _Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, elsewhere.url)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    connector = CONNECTORS[name]
    vendor = connector.vendor()
    with serving(vendor):
        assert connector.right(vendor, connector.use(vendor.url, lambda seconds: None, tmp_path))
    assert elsewhere.asked == []


# Place -> what is no failure there, and leads to all rows.
_TAKEN = {
    # Who may not ask which custom fields there are is told so once they are to be made.
    "GET tooling/query": ("403", "404", "a redirect to another server"),
    # A page that is gone is no more than an expired cursor: the query is asked again from there.
    "GET query/*": ("401", "404"),
}


def _wait_for_a_moment(impatient: pytest.MonkeyPatch) -> None:
    """Every connector's time-outs, cut to a tenth of a second."""
    for name in ("CONNECT", "SILENCE"):
        impatient.setenv(f"LEADSCORE_{name}_SECONDS", "0.1")
