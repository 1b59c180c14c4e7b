"""Folders made of tasks: stamps of finished tasks, files derived from files, and recorded checksums."""
