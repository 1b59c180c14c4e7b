"""Command lines of curation: a module a command."""
