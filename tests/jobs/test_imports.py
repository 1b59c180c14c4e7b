"""A command imports what takes long when it needs it: Spark, pandas, models."""

import subprocess
import sys

import pytest

from tests.support.checkout import ROOT, commands

LATER = {"PIL", "ahocorasick", "chardet", "fasttext", "metadata.pipeline", "pandas", "pyspark", "torch"}
FIRST = {"csv", "dataclasses", "difflib", "importlib.metadata", "inspect", "json", "runtime.errors", "runtime.packages"}


COMMANDS = [each for each in commands().values() if each != "metadata.commands"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_starts_without_what_takes_long_to_import(name):
    code = f"import sys, runtime.without_pandas, {name}; print(sorted({LATER!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["curation.commands", "metadata"])
def test_hardly_anything_is_imported_before_ctrl_c_is_answered(module):
    code = f"import {module}, sys; print(sorted({FIRST!r} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_spark_everything_else_is_imported_by_a_star():
    code = "import sys; sys.modules['pyspark'] = None; from curation import *; print(curate.__name__, 'draws' in dir())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "curate True\n"


def test_without_spark_the_steps_on_dataframes_name_the_extra():
    code = "import sys; sys.modules['pyspark'] = None; import curation.dataframes"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.endswith("pyspark is not installed: pip install 'clip-curation[spark]'\n")
