"""Choose the engine of a command by its flags, and of a function by the argument `engine` of its caller."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

from runtime.engine.interface import Engine
from runtime.engine.local import Local
from runtime.errors import ParameterError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from runtime.engine.spark import Spark

Given: TypeAlias = "Engine | SparkSession | Callable[[], SparkSession] | None"


def engine_of(given: Given) -> Engine:
    """Return `given` if it is an engine, a Spark engine for a session or a function that makes one, or Local for None.

    ParameterError for anything else.
    """
    if given is None:
        return Local()
    if hasattr(given, "exchange"):
        return cast(Engine, given)
    if not (callable(given) or hasattr(given, "sparkContext")):
        raise ParameterError(
            f"is of type {type(given).__name__}; give None for processes of this machine, Local(), or a Spark session",
            "engine",
        )
    return _spark(given)


def engine_for(args: Namespace, name: str) -> Engine:
    """Return the engine of the command `name`: Spark under spark-submit or with --master, else Local."""
    start = partial(_session, name)
    return _spark(start) if _is_submitted() or args.master else Local(args.cores, partial(_spark, start))


def _is_submitted() -> bool:
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _spark(session: SparkSession | Callable[[], SparkSession]) -> Spark:
    from runtime.engine.spark import Spark  # here, as most commands do without Spark, which takes long to import

    return Spark(session)


def _session(name: str) -> SparkSession:
    from runtime.session import session

    return session(name)
