"""Compare two runs, or two manifests: what only one of them has, what both have, and how they were made."""

from runtime.start import importing, run


def program() -> None:
    """Run the command `clip-compare`."""
    with importing("clip-compare"):
        from curation.plugins.compare.clip_compare import main
    run(main)
