"""Write a table with the size, SHA-256 and perceptual hashes of each picture in tars and folders."""

from runtime.programs import Program

program = Program("clip-hash", "curation.leaves.hashing.clip_hash")
