"""What is looked at in every run beside the algorithm: `run.hooks` names who observes, and what each is given."""
