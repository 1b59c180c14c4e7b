"""Look into a finished run: the images and pairs that meet conditions, their figures, and the path of one pair."""

from runtime.start import importing, run


def program() -> None:
    """Run the command `clip-find`."""
    with importing("clip-find"):
        from curation.plugins.find.clip_find import main
    run(main)
