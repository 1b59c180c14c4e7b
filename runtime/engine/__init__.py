"""Run the tasks of a command: on processes of this machine, or on Spark."""
