"""Local folders and URLs: paths, files that are whole under their names, Parquet, remote reads and retries."""
