"""The gate: which of the matched images stay, by what is known of images, pages and texts."""
