"""Find copies of a picture: hashes, their index, and whose copy each image is."""
