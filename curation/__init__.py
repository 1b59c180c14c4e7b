"""Matching, counting, balancing and sampling of image-text pairs."""
