"""Parse command lines, with files of arguments, defaults of a config and hints at misspelt flags.

The flags that all commands share are in `run_flags`.
"""

import argparse
import math
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, Field, fields
from io import StringIO
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, get_type_hints

from runtime import run_flags, settings, terminal
from runtime.errors import InputError, name_settings, require_utf8
from runtime.messages import did_you_mean, quoted
from runtime.packages import PROJECT, __version__, has_table, table_rows
from runtime.redaction import note, redacted
from runtime.terminal import in_one_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Config = TypeVar("Config", bound="DataclassInstance")
FlagGroup = argparse._ArgumentGroup  # a group of flags in the help
_OWN = 2  # the groups that argparse makes itself: the arguments without a flag, and the flags in no other group

REMOVED_FLAGS = "removed_flags.csv"
_FLAG = re.compile(r"(--set [^=]*|--?[^\W\d][\w-]*)(=.*)?", re.DOTALL)  # -5 is a number, and "- 5" is text
_ENDING = {"-h", "--help", "--help-all", "--version"}  # flags that end a program before its values are checked
_ADVICE = {  # words in a message of argparse → advice
    "not allowed with argument": "pass only one of them",
    "are required: RUN": "RUN comes before all flags",
    "expected one argument": "write a value after it",
    "expected at least one argument": "write one or more values after it",
}
_HOME = re.compile(r"([\w.-]+=)?(~(?:/.*)?)", re.DOTALL)  # a path below the home folder, perhaps as NAME=PATH
# Two values with a comma between them; after a colon, as in license:cc0,cc-by, a comma is a part of the value.
_JOINED = re.compile(r"(?:^|=)((?:\w+://)?[^=:\s,]+,[^=:\s,]+)")
_joined: dict[str, str] = {}  # values in this process's command line that _JOINED finds → their flag


class Parser(argparse.ArgumentParser):
    """A parser of one command's flags; flags cannot be abbreviated.

    Flags that most runs need are added to the parser itself, and --help shows only these, each with the first sentence
    of its help; --help-all shows all sentences, and the flags in groups. Both end in `examples`, command lines without
    the name of the program.

    An argument `@FILE` stands for the arguments in a file, which are split as a shell splits words. Blank lines and
    comments after a # are ignored. A value that begins with @ is written `--flag=@value`. A `~` at the beginning of a
    value is the user's home folder.

    If a flag of several values is given again, its values are added. A flag of a single value overrides the same flag
    in a file; otherwise it may only be given again with the same value.
    """

    def __init__(self, name: str, description: str, examples: Sequence[str] = ()):
        self.examples = [f"{name} {example}" for example in examples]
        super().__init__(
            prog=name,
            description=description,
            epilog="@FILE stands for the arguments in a file, in which # begins a comment. Flags on the command line "
            "override the same flags in a file. If a flag that takes several values is repeated, its values are added.",
            allow_abbrev=False,
        )
        self._positionals.title, self._optionals.title = "without a flag", "flags"
        self.register("type", int, settings.integer)
        self.register("type", float, settings.written_number)
        self.register("type", bool, settings.boolean)
        self.register("type", dict, settings.named_number)
        self.register("action", None, Stored)
        self.register("action", "numbers", _Numbers)
        hidden = argparse.SUPPRESS  # The end of --help names this flag if it shows more.
        self.add_argument("--help-all", action=_HelpAll, nargs=0, dest=hidden, default=hidden, help=hidden)
        self.add_argument(
            "--version",
            action="version",
            version=f"{PROJECT} {__version__}",
            help="print the version of this program and exit",
        )
        self._last = [run_flags.add(self)]  # The help shows these groups after all others.
        self.settings: dict[str, type] = {}  # These fields have no flag; each has its config.
        self._is_earlier = False  # whether the command line was already read by an earlier process
        self.removed: dict[str, str] = {}  # flags of earlier versions, each with a sentence about its replacement

    @classmethod
    def of(cls, name: str, package: str) -> "Parser":
        """Return the parser of a command, with the description and examples in the table commands.csv of a package.

        The package's table REMOVED_FLAGS, if it has one, names the replacements of flags that earlier versions had.
        """
        row = next(row for row in table_rows(package, "commands.csv") if row["command"] == name)
        parser = cls(name, row["description"], row["examples"].split(" | "))
        if has_table(package, REMOVED_FLAGS):
            removed = table_rows(package, REMOVED_FLAGS)
            parser.removed = {row["flag"]: row["instead"] for row in removed if row["command"] == name}
        return parser

    def add_engine(self) -> None:
        """Add the flags of a command whose tasks run on processes of this machine, or on Spark."""
        cores = "number of processes that work at once (default: one for each core)"
        self._last[-1].add_argument("--cores", type=run_flags.cores, metavar="N", help=cores)
        master = (
            "run all tasks on this Spark, such as local[*] or spark://host:7077 (default: processes, without Spark)"
        )
        self.add_argument("--master", type=run_flags.master, metavar="URL", help=master)
        memory = "memory of Spark's driver, such as 8g (default: 1g)"
        self.add_argument("--memory", type=run_flags.memory, metavar="SIZE", help=memory)

    def convert_arg_line_to_args(self, arg_line: str) -> list[str]:
        """Return the arguments in one line of a file of arguments; InputError if its quotes are not closed.

        >>> Parser("", "").convert_arg_line_to_args("--input 'my crawl' https://a/#b  # don't forget")
        ['--input', 'my crawl', 'https://a/#b']
        """
        stream = StringIO(arg_line)
        words = shlex.shlex(stream, posix=True)
        words.whitespace_split, words.commenters = True, ""  # shlex would take a # inside a word for a comment.
        arguments: list[str] = []
        try:
            while (rest := arg_line[stream.tell() :].lstrip()) and not rest.startswith("#"):
                arguments += filter(None, [words.get_token()])
        except ValueError:
            raise InputError(
                f"a quotation mark in {quoted(arg_line)!r} is not closed; close it, or put a backslash before it"
            ) from None
        return arguments

    def _expanded(self, typed: Sequence[str]) -> list[str]:
        """Return a command line with the arguments in its files, without flags of one value that it gives itself.

        Each `--set` and the setting after it are one argument.
        """
        typed = settings.joined(typed)
        single = {action for action in map(self._action_of, typed) if action and action.nargs is None}
        arguments: list[str] = []
        for word in typed:
            if not word.startswith("@"):
                arguments.append(word)
                continue
            words = iter(settings.joined(self._in_file(word)))
            for inner in words:
                if self._action_of(inner) not in single:
                    arguments.append(inner)
                elif "=" not in inner:
                    next(words, None)  # This drops the value of a flag that is overridden.
        return arguments

    def _action_of(self, word: str) -> argparse.Action | None:
        """Return the action of a word that is a flag of this parser, perhaps with its value; None for other words."""
        flag = _FLAG.fullmatch(word)
        return self._option_string_actions.get(flag[1]) if flag else None

    def _in_file(self, word: str, outer: tuple[str, ...] = ()) -> list[str]:
        """Return the arguments in the file that `word`, @FILE, names, and in the files that it names itself."""
        if word in outer:
            raise InputError(f"the file of arguments {word} refers to itself; remove {word} from its lines")
        try:
            lines = Path(word[1:]).expanduser().read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise InputError(
                f"{word} stands for the arguments in a file, but the file cannot be read ({reason}); name a text file "
                "with arguments, or write a value that begins with @ as --flag=@value"
            ) from None
        arguments: list[str] = []
        for line in lines:
            for inner in self.convert_arg_line_to_args(line):
                arguments += self._in_file(inner, (*outer, word)) if inner.startswith("@") else [inner]
        return arguments

    def parse_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        """Return the values of a command line, and apply the shared flags to this process.

        Unknown flags are reported before any other error. Their attribute `command_line` has the line itself,
        without secrets, and with the arguments of files in their place.
        """
        try:
            arguments = self._expanded([*(sys.argv[1:] if args is None else args)])
            for argument in arguments:
                note(argument)
                require_utf8(argument)
        except InputError as error:
            self.error(error.args[0])
        run_flags.apply_format(arguments)
        self.collected: dict[str, Any] = {}  # These are the values of one command line so far.
        actions = self._option_string_actions
        before = arguments[: arguments.index("--") if "--" in arguments else None]
        for number, flag in enumerate(map(_FLAG.fullmatch, before)):
            if flag and (flag[1] not in actions or settings.is_without_value(flag[0])):
                self._refuse_unknown(flag, before[number + 1 :])
        self._refuse_strays(before)
        values = super().parse_args(arguments, namespace)
        values.command_line = shlex.join([self.prog, *map(redacted, settings.parted(arguments))])
        name_settings(self.settings)
        run_flags.apply(values, self.error)
        return values

    def parse_again(self, command_line: str) -> Any:
        """Return the values of a command line that `parse_args` has read before, as its `command_line` states it.

        No flag is applied to this process. InputError if this version cannot read the line.
        """
        self.collected = {}
        self._is_earlier = True
        arguments = settings.joined(shlex.split(command_line)[1:])
        values = super().parse_args(arguments)
        values.command_line = command_line
        return values

    def _refuse_unknown(self, unknown: re.Match, following: Sequence[str]) -> NoReturn:
        """End the program with the replacement of a removed flag, or with the name that a misspelt flag may stand for.

        `following` are the arguments after the flag.
        """
        flag = unknown[1]
        setting = settings.PREFIX + flag.removeprefix("--").replace("-", "_")
        if flag in self.removed:
            self.error(f"{flag} was removed; {self.removed[flag]}")
        if flag.startswith(settings.PREFIX):
            self.error(settings.refusal(self, [*self.settings], unknown[0].removeprefix(settings.PREFIX)))
        if action := self._option_string_actions.get(setting):
            usual = "true" if action.type is bool else next(iter(following), "VALUE")
            value = unknown[2] or f"={usual}"
            self.error(f"{flag} is now a setting; write {setting}{value}")
        advice = did_you_mean(flag, self._option_string_actions)
        self.error("; ".join(filter(None, [f"unrecognized arguments: {flag}", advice])))

    def _refuse_strays(self, arguments: Sequence[str]) -> None:
        """End the program if a value has no flag before it, and is not one of the arguments without a flag."""
        without_flag = self._get_positional_actions()
        if _ENDING & {*arguments} or any(action.nargs for action in without_flag):
            return
        stray = self._stray(arguments, len(without_flag))
        if stray is None:
            return
        if stray == self.prog:
            self.error(f"{stray} is the name of this command, which has already been named; leave it out")
        given = [*map(self._action_of, arguments)]
        missing = [action for action in self._actions if action.required and action.option_strings]
        flags = [action.option_strings[0] for action in missing if action not in given]
        advice = f"write {flags[0]} {shlex.quote(stray)}" if flags else "put its flag before it"
        self.error(f"{stray} has no flag before it; {advice}, or put quotation marks around a value with spaces")

    def _stray(self, arguments: Sequence[str], free: int) -> str | None:
        """Return the first value that no flag before it takes, after `free` others; None if there is none."""
        wanted: float = 0  # values that the last flag still takes
        for word in arguments:
            action = self._action_of(word)
            if action:
                wanted = 0 if "=" in word else {None: 1, 0: 0}.get(cast(Any, action.nargs), math.inf)
            elif wanted:
                wanted -= 1
            elif free:
                free -= 1
            else:
                return word
        return None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise an ArgumentError for a value that is not among the choices, with the nearest choice if one is near."""
        if action.choices is not None and value not in action.choices:
            choices = [*map(str, action.choices)]
            remedy = f"choose {' or '.join(filter(None, [', '.join(choices[:-1]), choices[-1]]))}"
            meant = did_you_mean(str(value), choices, remedy)
            raise argparse.ArgumentError(action, f"{value!r} is not one of the choices; {meant}")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Return the value of an argument; ArgumentError if it is empty, for example because a variable is not set."""
        name = next(iter(action.option_strings), str(action.metavar))
        if not all(map(str.strip, arg_strings)):
            raise argparse.ArgumentError(None, f"{name} is empty; write a value, or check the variable that holds it")
        if action.nargs:
            for word in arg_strings:
                _joined.update(dict.fromkeys(_JOINED.findall(word), name))
        return super()._get_values(action, [*map(_with_home, arg_strings)])

    def error(self, message: str) -> NoReturn:
        """Write `message` as one line, and end the program with status 2; InputError instead for `parse_again`."""
        if self._is_earlier:
            raise InputError(f"the folder's command line is not valid in this version of {self.prog}: {message}")
        for found, advice in _ADVICE.items():
            message = f"{message}; {advice}" if found in message else message
        said = in_one_line(redacted(with_advice(message)))
        terminal.say(f"{self.prog}: {said} ({'--help-all' if self._more else '--help'} lists the flags)", "error")
        self.exit(2)

    def format_help(self, everything: bool = False) -> str:
        """Return the help of the flags that most runs need, or of all flags if `everything` is True."""
        shown = copy(self)
        shown.usage = self._usage()
        shown._action_groups = [*(group for group in self._action_groups if group not in self._last), *self._last]
        if self._more and not everything:
            shown._action_groups = [_in_short(group) for group in self._action_groups[:_OWN]]
            shown.epilog = f"--help-all says more about these flags, and shows {self._more} others."
        lines = [f"  {example}\n" for example in self.examples]
        return "".join([super(Parser, shown).format_help(), *(["\nexamples:\n"] if lines else []), *lines])

    @property
    def _more(self) -> int:
        """The number of flags in groups, which --help hides; 0 if the group of shared flags is the only one."""
        groups = self._action_groups[_OWN:]
        return 0 if groups == self._last[-1:] else sum(len(group._group_actions) for group in groups)

    def _usage(self) -> str:
        """Return the command line with required arguments only; those without a flag come first.

        After a flag that takes several values, an argument without a flag would be read as another value.
        """
        required = [action for action in self._actions if action.required]
        words = [_spelled(action) for action in sorted(required, key=lambda action: bool(action.option_strings))]
        for group in self._mutually_exclusive_groups:
            if group.required:
                words.append(f"({' | '.join(map(_spelled, group._group_actions))})")
        line = " ".join(["usage:", self.prog, *(word.replace(" ", "\xa0") for word in words), "[FLAGS]"])
        wrapped = fill(line, get_terminal_size().columns - 2, subsequent_indent=" " * 8, break_on_hyphens=False)
        return wrapped.removeprefix("usage: ").replace("\xa0", " ").replace("%", "%%")

    def take_defaults(self, config: type) -> None:
        """Give each flag the default of the field of `config` that has the flag's name, and state it in the help.

        Fields without a flag become settings.
        """
        defaults = _defaults(config)
        for action in self._actions:
            if action.dest in defaults and action.default is None:
                action.help = _with_default(str(action.help), defaults[action.dest])
        self.set_defaults(**defaults)
        self.settings |= settings.add(self, config, defaults)
        if self.settings and settings.SET not in self._option_string_actions:
            self._last.insert(0, self.add_argument_group("settings"))
            self._last[0].add_argument(
                settings.SET, metavar="NAME=VALUE", dest=settings.HIDDEN, default=settings.HIDDEN
            )
        if self.settings:
            self._option_string_actions[settings.SET].help = settings.help_of(self, self.settings)


def _in_short(group: argparse._ArgumentGroup) -> argparse._ArgumentGroup:
    """Return a group whose flags have only the first sentence of their help, and their default."""
    short = copy(group)
    short._group_actions = [copy(action) for action in group._group_actions]
    for action in short._group_actions:
        if action.help not in (None, argparse.SUPPRESS):
            first, _, rest = action.help.partition(". ")
            default = rest.rfind(" (default: ")
            action.help = first if default < 0 else first + rest[default:]
    return short


def add_fields(group: argparse._ActionsContainer, config: type, helps: Mapping[str, str]) -> None:
    """Add flags to a group; `helps` maps each flag, such as `--seed N`, to its help.

    The field of `config` with the name of the flag gives type and default: a bool makes a switch, a Literal a choice of
    words, and a sequence a flag of several values.
    """
    hints = get_type_hints(config)
    defaults = _defaults(config)
    for spelled, help in helps.items():
        flag, _, metavar = spelled.partition(" ")
        name = flag[2:].replace("-", "_")
        if hints[name] is bool:
            group.add_argument(flag, action="store_true", help=help)
            continue
        group.add_argument(
            flag,
            default=defaults[name],
            metavar=metavar or None,
            help=_with_default(help, defaults[name]),
            **settings.how_given(hints[name]) or {},
        )


def add_flags(group: argparse._ActionsContainer, helps: Mapping[str, str], **options: Any) -> None:
    """Add arguments to a group as `add_argument` does with `options`; `helps` maps each, as `--seed N`, to its help."""
    for spelled, help in helps.items():
        name, _, metavar = spelled.partition(" ")
        group.add_argument(name, help=help, **options | ({"metavar": metavar} if metavar else {}))


def helps(package: str, group: str) -> dict[str, str]:
    """Return the help of each flag of a group, such as `--seed N`, in the table flags.csv of a package."""
    return {row["flag"]: row["help"] for row in table_rows(package, "flags.csv") if row["group"] == group}


def made(config: type[Config], args: argparse.Namespace) -> Config:
    """Return a config whose fields have the values of the flags of the same names."""
    return config(**{field.name: getattr(args, field.name) for field in fields(config)})


class Stored(argparse._StoreAction):
    """Stores the value of a flag: several values are added to earlier ones, and a second single value is refused.

    The same single value may be given again.
    """

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        before = parser.collected.setdefault(self.dest, values)
        if isinstance(values, list) and bool(before) == bool(values):  # An empty list means all.
            parser.collected[self.dest] = values if before is values else before + values
        elif before != values:
            twice = f"it is given twice, as {_typed(before)} and as {_typed(values)}"
            raise argparse.ArgumentError(self, f"{twice}; keep one of them")
        self.store(parser, namespace, parser.collected[self.dest])

    def store(self, parser: Any, namespace: argparse.Namespace, values: Any) -> None:
        """Store all values that were given so far."""
        setattr(namespace, self.dest, values)


class _Numbers(Stored):
    """Stores numbers by name, given as NAME=NUMBER, as a dictionary."""

    def store(self, parser: Any, namespace: argparse.Namespace, values: Any) -> None:
        """Store the numbers; ArgumentError for two different numbers of a name."""
        numbers: dict[str, float] = {}
        for name, number in values:
            if numbers.setdefault(name, number) != number:
                raise argparse.ArgumentError(self, f"there are two numbers for {name}; keep one of them")
        setattr(namespace, self.dest, numbers)


class _HelpAll(argparse.Action):
    """Prints the help of all flags as soon as --help-all is parsed, even if required flags are missing."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, *_: Any) -> None:
        print(parser.format_help(everything=True), end="")
        parser.exit()


def _defaults(config: type) -> dict[str, Any]:
    return {field.name: _default(field) for field in fields(config)}


def _default(field: Field) -> Any:
    """Return the default of a field; the default of a sequence is a list, because flags append to it."""
    value = field.default if field.default_factory is MISSING else field.default_factory()
    return [*value] if isinstance(value, tuple) else value


def _with_default(help: str, default: Any) -> str:
    return help if default in (None, []) else f"{help} (default: %(default)s)"


def _spelled(action: argparse.Action) -> str:
    """Return how a user types an argument, such as `--input PATH ...`."""
    value = action.metavar or (f"{{{','.join(action.choices)}}}" if action.choices else action.dest.upper())
    return " ".join([*action.option_strings[:1], str(value), *(["..."] if action.nargs == "+" else [])])


def _typed(value: Any) -> str:
    """Return the value of a flag roughly as a user typed it."""
    return " ".join(map(str, value)) or "nothing" if isinstance(value, list) else str(value)


def with_advice(sentence: str) -> str:
    """Return a sentence on bad input, with advice if it quotes values joined by commas, for a flag of several values.

    A comma may be a part of a value, so the advice is only given for a value that turned out to be wrong.
    """
    flag = next((flag for joined, flag in _joined.items() if joined in sentence), None)
    return f"{sentence}; values of {flag} are separated by spaces, not by commas" if flag else sentence


def _with_home(value: str) -> str:
    """Return a value in which `~`, at its beginning or as NAME=~, stands for the user's home folder."""
    match = _HOME.fullmatch(value)
    return (match[1] or "") + os.path.expanduser(match[2]) if match else value


def absolute_path(path: str) -> str:
    """Return an absolute path, which means the same to workers in other folders; a URL is returned unchanged."""
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))
