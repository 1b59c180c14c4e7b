"""Download the sources of a build over HTTP: resumed, checked, and named when complete."""
