"""A run of clip-curate: its request, the order of its steps, its work on the driver and in tasks, its folder."""
