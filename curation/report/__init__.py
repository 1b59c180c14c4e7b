"""Describe a run: run.json, the summary on the console, and the page report.html."""
