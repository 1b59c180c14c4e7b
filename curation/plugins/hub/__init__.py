"""Datasets of the Hugging Face Hub: read their files as inputs, and upload what commands have written."""
