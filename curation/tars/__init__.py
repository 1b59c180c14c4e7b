"""Read and write img2dataset's tars."""
