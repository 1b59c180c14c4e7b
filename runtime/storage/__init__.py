"""Local folders and URLs: listing, whole files, locks, arrays, Parquet, remote reads and retries."""
