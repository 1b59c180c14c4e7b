"""Write a table with the size, SHA-256 and perceptual hashes of each picture in tars and folders."""

from runtime.start import importing, run


def program() -> None:
    """Run the command `clip-hash`."""
    with importing("clip-hash"):
        from curation.plugins.hashing.clip_hash import main
    run(main)
