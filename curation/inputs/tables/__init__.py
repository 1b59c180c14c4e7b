"""Read tables of pairs: Parquet, JSON lines, CSV and TSV."""
