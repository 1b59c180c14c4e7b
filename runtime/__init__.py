"""Code that the packages `curation` and `metadata` share: Spark, files and URLs, Arrow arrays, random draws, errors.

Nothing in this package depends on entries or pairs.
"""

hook_providers: set[str] = set()  # modules with tables HOOKS


def provide_hooks(module: str) -> None:
    """Let hooks have this project's objects that the table HOOKS of a module locates, by group and name.

    This module imports nothing: until a program has started, Ctrl-C would end it with a trace of its imports.
    """
    hook_providers.add(module)
