"""Flags that decide when a text counts as in the language of its label; clip-curate and clip-lid-eval share them."""

from __future__ import annotations

from argparse import Action, ArgumentError, ArgumentParser, Namespace, _ActionsContainer
from typing import Any

from curation.config import WITNESSES, CurationConfig
from runtime.arguments import add_fields

LANGUAGE = {
    "--no-language": "what becomes of texts without letters, names of files, addresses and HTML, which are in no "
    "language",
    "--wrong-script": "what becomes of a text whose letters are all of scripts that the language of its label is not "
    "written in",
}
NOBODY = "none"  # that no witness is asked


def add_language_rules(group: _ActionsContainer) -> None:
    """Add the flags that decide when a text counts as in the language of its label."""
    group.add_argument(
        "--min-language-score",
        action=_Scores,
        nargs="+",
        metavar="S",
        help="texts whose language is less certain belong to `other`: a score for all languages, or for one as da=0.6",
    )
    add_fields(group, CurationConfig, LANGUAGE)
    group.add_argument(
        "--witnesses",
        action=_Witnesses,
        nargs="+",
        choices=(*WITNESSES, NOBODY),
        default=CurationConfig.witnesses,
        metavar="NAME",
        help="who is asked for the language of a doubtful text; the first that knows it counts: han (its kana, and "
        "characters that only Chinese or Japanese writes), host (where 80 %% of five or more sure texts are in one), "
        f"page (`lang` of a WARC page), or {NOBODY} (default: {' '.join(CurationConfig.witnesses)})",
    )


class _Witnesses(Action):
    """Stores the names of witnesses; none of them where `none` is said."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Refuse witnesses beside `none`."""
        if NOBODY in values and len(values) > 1:
            raise ArgumentError(self, f"expected {NOBODY} alone, or witnesses; got {' '.join(values)}")
        setattr(namespace, self.dest, [name for name in values if name != NOBODY])


class _Scores(Action):
    """Stores a number under its own name, and those of `LANGUAGE=NUMBER` by language under its name with an s."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Refuse what is no number."""
        of_each: dict[str, float] = {}
        for value in values:
            code, equals, score = value.rpartition("=")
            try:
                number = float(score)
            except ValueError:
                raise ArgumentError(
                    self, f"expected a number, or a language and a number as da=0.6; got {value!r}"
                ) from None
            if equals:
                of_each[code] = number
            else:
                setattr(namespace, self.dest, number)
        setattr(namespace, f"{self.dest}s", of_each)
