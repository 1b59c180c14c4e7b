"""The gate: decide which matched images stay, and with which texts; HOOKS of `curation.plugins` orders its steps."""
