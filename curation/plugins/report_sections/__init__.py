"""Observers: measurements that a run adds to its report beside the algorithm."""

from runtime.start import importing, run


def program() -> None:
    """Run the command `clip-align`."""
    with importing("clip-align"):
        from curation.plugins.report_sections.alignment import main
    run(main)
