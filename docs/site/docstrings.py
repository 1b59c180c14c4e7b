"""Docstrings as Markdown for the site: examples become blocks of code, and lists of fields lists."""

import re

from griffe import Extension

FIELD = re.compile(r"^( *)([a-z_]+(?:, [a-z_]+)*): (.*)$")


class Docstrings(Extension):
    """Rewrites each docstring when it is read."""

    def on_instance(self, *, obj, **_):
        """Rewrite the docstring of an object."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Return a docstring in which `>>>` begins code and `name: meaning` lines are a list."""
    lines, code, listed = [], False, False
    for line in text.splitlines():
        if line.startswith(">>>") and not code:
            code = True
            lines += ["", "```pycon"]
        if code and not line.strip():
            code = False
            lines.append("```")
        field = None if code else FIELD.match(line)
        if field:
            if not listed:
                lines.append("")
            names = ", ".join(f"`{each}`" for each in field[2].split(", "))
            line = f"- {names}: {field[3]}"
        elif listed and not code and line.startswith(" "):
            line = f"  {line.strip()}"
        elif listed and line.strip():
            lines.append("")
        listed = bool(field) or (listed and line.startswith(" "))
        lines.append(line)
    return "\n".join([*lines, "```"] if code else lines)
