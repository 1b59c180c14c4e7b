"""Report of a run: run.json, the summary on the console, and report.html."""
