"""Find copies of pictures by their hashes: an index of hashes, and the image of which each copy is one."""
