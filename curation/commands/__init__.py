"""The command lines of the core; each leaf has its own commands."""

from functools import partial

from runtime.programs import start

curate_program = partial(start, "clip-curate", "curation.commands.clip_curate")
verify_program = partial(start, "clip-verify", "curation.commands.clip_verify")
