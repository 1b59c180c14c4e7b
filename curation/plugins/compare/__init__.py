"""Compare two runs, or two manifests: the images that only one has, the images that both have, and their settings."""

from runtime.start import importing, run


def program() -> None:
    """Run the command `clip-compare`."""
    with importing("clip-compare"):
        from curation.plugins.compare.clip_compare import main
    run(main)
