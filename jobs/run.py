"""Run any command with Spark: `spark-submit jobs/run.py clip-export RUN --format huggingface --output pairs`."""

import sys
from importlib.metadata import entry_points


def main(names: list[str]) -> None:
    """Run the command that the first argument names; `names` are the commands of the installed package."""
    if not names:
        fail(
            f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install "
            "it there: pip install FOLDER_OF_THE_PROJECT"
        )
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in names:
        from runtime.messages import did_you_mean  # here, as only the check above shows that it is installed

        meant = did_you_mean(f"clip-{command.removeprefix('clip-')}", names, f"give one of {', '.join(names)}")
        fail(
            f"the first argument must be a command, and {f'{command!r} is none' if command else 'is missing'}; {meant}"
        )
    (program,) = entry_points(group="console_scripts", name=sys.argv.pop(1))
    program.load()()


def fail(sentence: str) -> None:
    """End with a sentence and status 2."""
    print(sentence, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(sorted(name for name in entry_points(group="console_scripts").names if name.startswith("clip-")))
