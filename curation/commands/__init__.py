"""The command lines of the core; each plugin has its own commands."""

from runtime.start import importing, run


def curate_program() -> None:
    """Run the command `clip-curate`."""
    with importing("clip-curate"):
        from curation.commands.clip_curate import main
    run(main)


def verify_program() -> None:
    """Run the command `clip-verify`."""
    with importing("clip-verify"):
        from curation.commands.clip_verify import main
    run(main)
