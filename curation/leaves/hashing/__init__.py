"""Write a table with the size, SHA-256 and perceptual hashes of each picture in tars and folders."""

from functools import partial

from runtime.programs import start

program = partial(start, "clip-hash", "curation.leaves.hashing.clip_hash")
