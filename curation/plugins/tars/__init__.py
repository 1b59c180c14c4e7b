"""Read and write tars in img2dataset's form, and decode pictures."""
