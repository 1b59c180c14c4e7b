"""Score how well the images in tars fit their texts, with a CLIP model in one process per machine or GPU."""

from runtime.start import importing, run


def program() -> None:
    """Run the command `clip-score`."""
    with importing("clip-score"):
        from curation.plugins.scoring.clip_score import main
    run(main)
