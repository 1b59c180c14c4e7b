"""Balancing while training: a PyTorch dataset over downloaded images."""
