"""The command lines of the core; `leaves` have those of their own."""

from functools import partial

from runtime.programs import start

curate_program = partial(start, "clip-curate", "curation.commands.curate")
verify_program = partial(start, "clip-verify", "curation.commands.verify")
