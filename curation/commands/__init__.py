"""The command lines of the core; each plugin has its own commands."""

from runtime.start import Program

curate_program = Program("clip-curate", "curation.commands.clip_curate")
verify_program = Program("clip-verify", "curation.commands.clip_verify")
