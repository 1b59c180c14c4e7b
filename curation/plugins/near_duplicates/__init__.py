"""Find near copies of pictures by perceptual hashes, and choose the one image that stays of each group of copies."""
