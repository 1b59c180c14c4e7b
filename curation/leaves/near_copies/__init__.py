"""Find copies of pictures by their hashes, and choose the image that stays for each group of copies."""
