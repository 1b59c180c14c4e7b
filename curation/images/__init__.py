"""Combine pairs into images, one row each with all its texts, and find the images that were downloaded."""
