"""Hash the pictures in tars and folders: size, SHA-256 and perceptual hashes, one row per picture."""
