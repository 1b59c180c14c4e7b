"""Command lines of curation: clip-curate, clip-export and clip-remove."""
