"""Write a table with the size, SHA-256 and perceptual hashes of each picture in tars and folders."""

from runtime.start import Program

program = Program("clip-hash", "curation.plugins.hashing.clip_hash")
