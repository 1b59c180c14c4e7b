"""Command lines of curation, one module each: flags are parsed, and the room that does the work is called."""
