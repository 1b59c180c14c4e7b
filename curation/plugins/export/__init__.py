"""Export a finished run to a new folder: in the formats of other programs, or without some of its images."""

from runtime.start import importing, run


def program() -> None:
    """Run the command `clip-export`."""
    with importing("clip-export"):
        from curation.plugins.export.clip_export import main
    run(main)


def removal_program() -> None:
    """Run the command `clip-remove`."""
    with importing("clip-remove"):
        from curation.plugins.export.removal import main
    run(main)
