"""Read and write img2dataset's tars, and decode pictures."""
