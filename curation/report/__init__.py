"""What a run says of itself: run.json, the console and report.html."""
