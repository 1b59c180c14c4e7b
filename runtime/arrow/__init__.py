"""Arrow arrays as NumPy arrays, and back."""
