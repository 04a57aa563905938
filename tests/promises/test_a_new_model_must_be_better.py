"""A new model is promoted only if it is better beyond doubt: one that learned the same again is not."""

from __future__ import annotations

import pytest
from conftest import MadeUp

from models.registry import Registry
from pipelines.settings import read_settings
from pipelines.train import train

pytestmark = pytest.mark.xdist_group("company")


def test_an_equal_challenger_is_refused_and_the_champion_stays(own_company: MadeUp) -> None:
    report = train(own_company.config)
    assert report.refused
    assert not report.facts["champion"]
    assert report.facts["version"] == "2"
    client = Registry(read_settings(own_company.config).tracking_uri).client
    assert client.get_model_version_by_alias("leadscore", "champion").version == 1
    assert client.get_model_version_by_alias("leadscore", "challenger").version == 2
    assert client.get_model_version("leadscore", "2").tags["promoted"] == "false"
