"""Tables of images: joined by uid to the images of a run, read in step with its files, or sorted into mapped files."""
