"""How lists are delivered is checked when it is read, and a password never stands where it can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.problem import Problem
from pipelines.deliveryrules import Delivery, Mail, address
from pipelines.settings import read_settings

TABLES = '[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n'
MAIL = '[delivery.mail]\nserver = "smtp.company.example"\nsender = "leads@company.example"\n'


def _file(folder: Path, text: str) -> Path:
    (folder / "leadscore.toml").write_text(TABLES + text, encoding="utf-8")
    return folder / "leadscore.toml"


def test_by_default_nothing_is_linked_and_nothing_is_mailed(tmp_path: Path) -> None:
    assert read_settings(_file(tmp_path, "")).delivery == Delivery(crm_link="", mail=Mail(server=""))


def test_a_company_writes_down_server_and_record(tmp_path: Path) -> None:
    text = MAIL + 'to = { o1 = "ann@bäckerei.example" }\n[delivery]\ncrm_link = "https://crm.example/#/leads/{lead_id}?tab=1"\n'
    delivery = read_settings(_file(tmp_path, text)).delivery
    assert delivery.crm_link == "https://crm.example/#/leads/{lead_id}?tab=1"
    assert delivery.mail.to == {"o1": "ann@xn--bckerei-5wa.example"}
    assert (delivery.mail.port, delivery.mail.tls, delivery.mail.credentials) == (587, "starttls", None)


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_is_the_usual_one_unless_it_is_written(tls: str, port: int) -> None:
    assert Mail.model_validate({"tls": tls}).port == port
    assert Mail.model_validate({"tls": tls, "port": 2525}).port == 2525


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '[delivery]\ncrm_link = "crm.example/{lead_id}"\n',
            "delivery.crm_link: 'crm.example/{lead_id}' is no address of a record such as 'https://crm.ex",
        ),
        ('[delivery]\ncrm_link = "https://crm.example/leads"\n', "delivery.crm_link: 'https://crm.example/leads' is no address of a record"),
        ('[delivery]\ncrm_link = "https://crm.example/{lead}/{lead_id}"\n', "is no address of a record"),
        ('[delivery]\ncrm_link = "https://crm.example/ {lead_id}"\n', "is no address of a record"),
        ('[delivery]\ncrm_link = "javascript:alert({lead_id})"\n', "is no address of a record"),
        ('[delivery.mail]\nserver = "smtp.company.example"\n', "delivery.mail: `sender` is missing: the address that the lists come from"),
        (MAIL + 'to = { o1 = "ann" }\n', "delivery.mail.to: 'ann' is no e-mail address such as 'ann@company.example'"),
        ('[delivery.mail]\nserver = "smtp://a.example"\n', "delivery.mail.server: 'smtp://a.example' is no name of a server"),
        (MAIL + 'tls = "ssl"\n', "delivery.mail.tls: Input should be 'starttls', 'tls' or 'none'"),
        (MAIL + "port = 0\n", "delivery.mail.port: Input should be greater than or equal to 1"),
        (MAIL + 'user = "ann"\n', "delivery.mail: `user` and `password` belong together: write both, or neither"),
        (MAIL + 'user = "ann"\npassword = "env:P"\ntls = "none"\n', "delivery.mail: a password is not sent in the clear"),
        (MAIL + 'colour = "x"\n', "'delivery.mail.colour' is not a setting that leadscore knows"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(Problem) as said:
        read_settings(_file(tmp_path, text))
    assert sentence in str(said.value)


def test_a_password_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(Problem) as said:
        read_settings(_file(tmp_path, MAIL + 'user = "ann"\npassword = "hunter2"\n'))
    assert 'delivery.mail.password: a password does not stand in a file: write password = "env:NAME" and export NAME' in str(said.value)
    assert "hunter2" not in str(said.value)


def test_user_and_password_are_looked_up_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = read_settings(_file(tmp_path, MAIL + 'user = "env:MAIL_USER"\npassword = "env:MAIL_PASSWORD"\n')).delivery.mail
    monkeypatch.setenv("MAIL_USER", "ann")
    monkeypatch.delenv("MAIL_PASSWORD", raising=False)
    with pytest.raises(Problem, match=r"^\[delivery\.mail\] password names the environment variable MAIL_PASSWORD, which is not set: export it"):
        _ = mail.credentials
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    assert mail.credentials == ("ann", "hunter2")
    assert "hunter2" not in repr(mail) + mail.model_dump_json()


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.one_of(st.sampled_from(list('ab@.,;:<>()"\\\r\n\t ')), st.characters(exclude_categories=[])), max_size=20))
def test_an_address_is_one_address_or_none(text: str) -> None:
    try:
        found = address(text)
    except ValueError:
        return
    assert found.isascii()
    assert found.count("@") == 1
    assert not set(found) & set(' \r\n\t,;:<>()"\\')
