"""Kernels that find elements in HTML and read their attributes, from its tokens alone and in linear time."""
