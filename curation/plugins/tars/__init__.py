"""Read and write tars in img2dataset's format, and decode pictures."""
