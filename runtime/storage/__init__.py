"""Storage in local folders and at URLs: listing, whole files, locks, arrays, Parquet, remote reads and retries."""
