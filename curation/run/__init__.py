"""A run of curate: what is asked, the order of its steps, each step on the driver and in tasks, and its folder."""
