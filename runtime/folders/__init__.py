"""Folders of files that tasks write: claimed, resumed, completed and checked."""
