"""Measure how well a language-ID model labels texts of known languages."""

from functools import partial

from runtime.programs import start

program = partial(start, "clip-lid-eval", "curation.leaves.language_evaluation.command")
