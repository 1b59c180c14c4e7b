"""The output folder of a run: claimed, continued, finished, and read back."""
