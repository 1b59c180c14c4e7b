"""Hash the pictures in tars and folders: size, SHA-256 and perceptual hashes, one row per picture."""

from functools import partial

from runtime.programs import start

program = partial(start, "clip-hash", "curation.leaves.hashing.command")
