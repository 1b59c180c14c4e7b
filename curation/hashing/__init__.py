"""Hash the pictures of tars and folders: sizes, SHA-256 and perceptual hashes, one row a picture."""
