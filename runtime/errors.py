"""Define the exceptions of all packages for input that cannot be used, and checks of parameters and their types."""

import errno
import functools
import inspect
import math
import os
import re
import resource
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from numbers import Integral, Real
from os import PathLike
from pathlib import Path, PurePath
from types import FunctionType, NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from runtime.redaction import redacted

_names_flags = False  # whether messages name flags in this process
Called = TypeVar("Called", bound=Callable[..., Any])
_IN_WORDS = {
    "str": "a string",
    "bool": "True or False",
    "Path": "a path",
    "PathLike": "a path",
    "Mapping": "a mapping",
    "dict": "a mapping",
    "Sequence": "a list",
    "Iterable": "a list",
    "Callable": "a function",
    "Array": "an Arrow array",
    "ChunkedArray": "an Arrow array",
    "NoneType": "None",
    "FinishedRun": "a run (of Results.open)",
    "Entries": "Entries (of Entries.open or Entries.build)",
}
_NUMBERS = {int, float, NoneType}
_PATHS = {Path, PathLike}
_WITH_STAND_INS = "SparkSession"  # the name of a class that is not checked, as stand-ins are accepted
OPEN_FILES = 4096  # enough for Spark, whose Java opens some 300 archives, and for the workers of many cores
# Similarities: --out and --output 0.77, --threshold and --english-threshold 0.73, --starter and --status 0.71.
_NEAR = 0.72
_MOST_SHOWN = 80  # characters of a value in a message
_BINARY = "bytes that are not text"
QUOTED, NAMES = 40, 30  # characters of what a file holds, and names of columns, in a message
# What errors say, of whatever class, if the system refuses a thread, or memory.
_NO_THREADS = ("can't start new thread", "Failed to launch worker thread", "Resource temporarily unavailable")
_NO_MEMORY = ("failed to map segment", "Cannot allocate memory", "libllvmlite", "LLVM ERROR: out of memory")
AGAIN = "run the same command again to go on"
MOST = 10**9  # the largest number of things held or made at a time; a larger one is a typing error
MOST_ROWS = 10**12  # of images, texts or matches: all crawls together have fewer
MOST_CORES = 10_000  # processes of one machine
# A flag of this package in a message, and words before it that say that the flag is of a command.
_FLAG = re.compile(r"(?P<command>\b(?:clip|spark)-[\w-]+(?: [\w-]+)* )?(?<![^\s(])--(?P<name>[a-z][a-z-]*)(?![\w-])")
_PARAMETERS = {"gate_step": "steps"} | {switch: f"{switch}=True" for switch in ("overwrite", "skip_unreadable")}
FLAGS = {"steps": "--gate-step", "min_language_scores": "--min-language-score"}  # of parameters of other names
_settings: Collection[str] = ()  # parameters of the command of this process that have no flag
_SETTING = re.compile(r"--set (\w+)(?:=(true|false)\b)?")  # a setting in a message
_ERRNO = re.compile(r"\[Errno -?\d+\] ")  # of the system, before its words
_SEEDS = (-(2**63), 2**64 - 1)  # integers of 64 bits, with or without a sign


class InputError(ValueError):
    """Input cannot be used; the message says what was given, what was expected and what to do, without secrets of URLs.

    Messages are written with flags. Python code reads names of parameters instead, unless `name_flags` was called.

    >>> str(InputError("https://me:word@a.org/b?token=0f does not exist; leave out --target-size"))
    'https://a.org/b does not exist; leave out target_size'
    """

    def __init__(self, *args: Any):
        super().__init__(*(_in_one_line(redacted(arg)) if isinstance(arg, str) else arg for arg in args))

    def __str__(self) -> str:
        return _spelled(super().__str__())


def _in_one_line(text: str) -> str:
    """Return a message without line breaks and numbers of errors: those of Arrow and of Python may contain some."""
    return _ERRNO.sub("", " ".join(map(str.strip, text.splitlines())))


def unusable(path: str, fault: str, reason: str) -> InputError:
    """Return the error that `path` has a fault for a reason; a reason that begins with the path stands alone.

    >>> str(unusable("a.csv", "cannot be read", "its quotes are odd"))
    'a.csv cannot be read: its quotes are odd'
    >>> str(unusable("a.csv", "cannot be read", "a.csv is locked"))
    'a.csv is locked'
    """
    return InputError(reason if reason.startswith(f"{path} ") else f"{path} {fault}: {reason}")


class ParameterError(InputError):
    """Parameters have values that cannot be used: `fault` says why.

    >>> str(ParameterError("is 0; it must be at least 1", "english_threshold"))
    'english_threshold is 0; it must be at least 1'
    """

    def __init__(self, fault: str, *names: str):
        super().__init__(fault, *names)  # all arguments, as pickle makes an exception again from them

    def __str__(self) -> str:
        fault, *names = self.args
        return f"{' and '.join(map(flag, names) if _names_flags else names)} {_spelled(fault)}"


def flag(name: str) -> str:
    """Return the flag of the parameter `name`, or `--set` with the name of a parameter that has no flag.

    >>> flag("english_threshold"), flag("steps")
    ('--english-threshold', '--gate-step')
    """
    return f"--set {name}" if name in _settings else FLAGS.get(name) or f"--{name.replace('_', '-')}"


def name_flags(does: bool = True) -> None:
    """Let messages name flags in this process: that of a command, or a worker, whose errors its driver words anew."""
    global _names_flags
    _names_flags = does


def name_settings(names: Collection[str]) -> None:
    """Let messages name these parameters, which have no flag in the command of this process, as settings."""
    global _settings
    _settings = names


def _spelled(message: str) -> str:
    """Return a message with the parameter of each flag in it, or unchanged if this process names flags.

    >>> _spelled("curate again with --overwrite, or by clip-cluster --same-meaning")
    'curate again with overwrite=True, or by clip-cluster --same-meaning'

    >>> _spelled("allow more with --set max_texts=3, or give --set balance=false")
    'allow more with max_texts=3, or give balance=False'
    """
    return message if _names_flags else _FLAG.sub(_parameter, _SETTING.sub(_field, message))


def _field(setting: re.Match) -> str:
    name, switch = setting.groups()
    return f"{name}={switch.title()}" if switch else name


def _parameter(flag: re.Match) -> str:
    name = flag["name"].replace("-", "_")
    return flag[0] if flag["command"] else _PARAMETERS.get(name, name)


def few_files() -> str | None:
    """Return advice to raise the limit of open files, if it is below OPEN_FILES; else None."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= OPEN_FILES:
        return None
    return f"only {limit:,} files may be open at once; allow more with ulimit -n {OPEN_FILES}, and {AGAIN}"


class LowLimit(InputError):
    """A limit of this process is too low. The inputs are not to blame, so a command ends with another exit status."""


def low_limit(error: BaseException) -> LowLimit | None:
    """Return an error that names the limit of this process that `error` comes from; None if it comes from none.

    >>> str(low_limit(RuntimeError("can't start new thread"))).partition(";")[0]
    'the system lets this command start no more threads and processes'
    >>> low_limit(ValueError("no number"))
    """
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    is_cut = "requested and" in text and resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
    if number == errno.EFBIG or "File too large" in text or is_cut:
        limit = f"no file may have more than {_limit(resource.RLIMIT_FSIZE)} bytes"
        return LowLimit(f"{limit}; allow larger files (ulimit -f), and {AGAIN}")
    if number == errno.EAGAIN or any(sign in text for sign in _NO_THREADS):
        limit = "the system lets this command start no more threads and processes"
        return LowLimit(f"{limit}; allow a hundred more (ulimit -u, or the limit of a container), and {AGAIN}")
    is_of_memory = isinstance(error, MemoryError) or number == errno.ENOMEM or any(sign in text for sign in _NO_MEMORY)
    if is_of_memory and resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        limit = f"this command may take {_limit(resource.RLIMIT_AS)} bytes of address space, which are too few"
        return LowLimit(f"{limit}; allow more (ulimit -v), and {AGAIN}")
    return None


def _limit(kind: int) -> str:
    return f"{resource.getrlimit(kind)[0]:,}"


def nearest_names(spelled: str, candidates: Iterable[str], most: int = 1) -> list[str]:
    """Return up to `most` names that a misspelt one may stand for, the nearest first; [] if none is near.

    >>> nearest_names("Colum", ["row", "column"]), nearest_names("x", ["row", "column"])
    (['column'], [])
    """
    names, name = {candidate.lower(): candidate for candidate in candidates}, spelled.lower()
    return [names[lowered] for lowered in ([name] if name in names else get_close_matches(name, names, most, _NEAR))]


def did_you_mean(spelled: str, candidates: Iterable[str], otherwise: str = "") -> str:
    """Return a question that suggests the name nearest to a misspelt one; `otherwise` if none is near."""
    return next((f"did you mean {name}?" for name in nearest_names(spelled, candidates)), otherwise)


def quoted(text: object) -> str:
    """Return what a file holds, for a message: 40 characters without secrets, with a sign for each unprintable one.

    >>> quoted("PAR1\\x15\\x04"), quoted("word " * 20), quoted("\\xf5\\x90a\\x15\\x04\\x90")
    ('PAR1��', 'word word word word word word word word…', 'bytes that are not text')
    """
    plain = redacted(str(text))
    cut = plain if len(plain) <= QUOTED else f"{plain[: QUOTED - 1].rstrip()}…"
    printable = "".join(character if character.isprintable() else "\ufffd" for character in cut)
    return _BINARY if printable.count("\ufffd") > max(2, len(printable) // 5) else printable


def quoted_names(names: Sequence[object]) -> str:
    """Return the names of columns, or the like, for a message: each as `quoted`, and the number of those after 30.

    >>> quoted_names(["url", "text"]), quoted_names([])
    ('url, text', 'none')
    """
    return listed([*dict.fromkeys(map(quoted, names))], NAMES) or "none"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first `most` names for a message, and the number of others.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def no_column(
    table: str, columns: Sequence[str], names: Sequence[str], remedy: str, others: Collection[str] = ()
) -> InputError:
    """Return the error that a table has none of `columns`, but the columns `names`; it suggests a near name.

    Names of `others`, which are in lower case, mean something else, and are not suggested.

    >>> str(no_column("a.csv", ["txt"], ["url", "text"], "name the right one"))
    'a.csv has no column txt; it has url, text: name the right one; did you mean text?'
    """
    meant = [name for name in names if name.lower() not in others]
    near = next(filter(None, (did_you_mean(column, meant) for column in columns)), None)
    fault = f"{table} has no column {' or '.join(columns)}; it has {quoted_names(names)}: {remedy}"
    return InputError("; ".join(filter(None, [fault, near])))


def require_utf8(name: str) -> None:
    """Raise an InputError if a file's name or an argument is not UTF-8: neither JSON nor Arrow could hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise InputError(f"{shown} is not UTF-8; give the file or folder a name that is") from None


def without_secrets(error: Exception) -> Exception:
    """Return an error whose trace shows no secret of a URL: `error` itself, or a similar error without its causes."""
    if not any(redacted(line) != line for line in traceback.format_exception(error)):
        return error
    text = redacted(str(error)) or type(error).__name__
    if isinstance(error, InputError):
        return type(error)(*error.args)
    kinds = (FileNotFoundError, PermissionError, ConnectionError, OSError)
    kind = next((kind for kind in kinds if isinstance(error, kind)), RuntimeError)
    return kind(text if isinstance(error, OSError) else f"{type(error).__name__}: {text}")


def refusal_in(trace: str) -> str | None:
    """Return the message of the first InputError in a task's trace, as Spark reports it; None if there is none.

    >>> refusal_in("PythonException:\\n  runtime.errors.InputError: a.tar is cut; leave it out\\n")
    'a.tar is cut; leave it out'
    """
    lines = (line.strip() for line in trace.splitlines())
    return next((line.partition("InputError: ")[2] for line in lines if "InputError: " in line), None)


def require_integer(name: str, value: object, minimum: int, maximum: int = MOST) -> None:
    """Raise a ParameterError unless `value` is an integer (no bool) from `minimum` to `maximum`."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        whole = isinstance(value, Real) and math.isfinite(cast(float, value)) and value == int(cast(float, value))
        example = f", such as {int(cast(float, value))}" if whole and not isinstance(value, bool) else ""
        raise ParameterError(f"is {shortened(repr(value))}; it must be an integer{example}", name)
    if int(value) < minimum:
        raise ParameterError(f"is {shown(value)}; it must be at least {minimum}", name)
    if int(value) > maximum:
        raise ParameterError(f"is {shortened(f'{value:,}')}; it must be at most {maximum:,}", name)


def require_seed(value: object) -> None:
    """Raise a ParameterError unless `value` is an integer of 64 bits, signed or unsigned."""
    require_integer("seed", value, *_SEEDS)


def require_number(name: str, value: object, least: float, most: float) -> None:
    """Raise a ParameterError unless `value` is a number (no bool) from `least` to `most`."""
    if not isinstance(value, Real) or isinstance(value, bool) or not least <= cast(float, value) <= most:
        raise ParameterError(f"is {shown(value)}; it must be a number from {least} to {most}", name)


def require_part(name: str, value: object, of: str, example: str) -> None:
    """Raise a ParameterError unless `value` is a number above 0 and at most 1; `of` is what the number is."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < cast(float, value) <= 1:
        raise ParameterError(f"is {shown(value)}; it is {of}, above 0 and at most 1, as {example}", name)


def shown(value: object) -> str:
    """Return the beginning of a value as Python writes it, without the `.0` of a whole number, which nobody typed.

    >>> shown(20.0), shown(0.5), shown("20")
    ('20', '0.5', "'20'")
    """
    return shortened(repr(value).removesuffix(".0"))


def shortened(text: str) -> str:
    """Return a text, or the beginning of a long one, as of an array."""
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN // 2]}…"


def require_share(name: str, value: object) -> None:
    """Raise a ParameterError unless `value` is a number from 0 to 1."""
    require_number(name, value, 0, 1)


def require_one_of(name: str, value: object, choices: Collection[str]) -> None:
    """Raise a ParameterError unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        near = did_you_mean(str(value), choices, f"it must be one of {', '.join(choices)}")
        raise ParameterError(f"is {shown(value)}; {near}", name)


def require_kind(name: str, value: object, kind: type, give: str) -> None:
    """Raise a ParameterError unless `value` is of type `kind`; the message ends with the advice to give `give`."""
    if not isinstance(value, kind):
        raise ParameterError(f"is of type {type(value).__name__}; give {give}", name)


def require_several(what: str, values: object) -> None:
    """Raise an InputError if `values` is one string or path, not a list: Python would iterate over its letters."""
    if isinstance(values, str | bytes | PathLike):
        one = redacted(values)[:40] if isinstance(values, str) else values
        raise InputError(f"{what} must be a sequence of strings; got one, {one!r}: put it into a list")


def require_inputs(values: Sequence[str | PathLike]) -> None:
    """Raise an InputError if `values`, the inputs of a program, are one path instead of a list, or none at all."""
    require_several("inputs", values)
    if not len(values):
        raise ParameterError("is an empty list; give files, folders, globs or URLs", "inputs")


def typed(called: Called) -> Called:
    """Make a function, or all public methods of a class, refuse arguments whose types differ from the annotations.

    The decorated function raises a ParameterError. A class's constructor is checked only if the class has a
    __post_init__. Other constructors are not checked: the parts that they are given may be stand-ins.

    A Literal admits its strings alone, and an empty path is refused. Numbers and strings in place of lists are left to
    `require_integer`, `require_several` and similar functions, whose messages say more. Items of lists are checked if
    they are words or paths; those of mappings are not. The text of an Annotated type says what to give in its place.

    A constructor gets numbers and lists of NumPy and pandas as those of Python, which can be written as JSON.

    >>> @typed
    ... def kept(name: str, balance: bool = True) -> None: ...
    >>> kept("a", balance="no")
    Traceback (most recent call last):
    runtime.errors.ParameterError: balance is of type str; give True or False
    """
    if not isinstance(called, type):
        return _typed(called)
    checked = {"__init__"} if hasattr(called, "__post_init__") else set()
    for name, member in [*vars(called).items()]:
        if name.startswith("_") and name not in checked:
            continue
        if isinstance(member, classmethod):
            setattr(called, name, classmethod(_typed(member.__func__)))
        elif isinstance(member, FunctionType):
            setattr(called, name, _typed(member))
    return called


def _typed(function: Any) -> Any:
    parameters = inspect.signature(function).parameters
    names = [*parameters]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    in_order = [name for name, each in parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    by_name = [name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in names and not takes_any:
                raise ParameterError(_unknown(name, function, names, args), name)
        if by_name and len(args) > len(in_order):
            few = f"takes {len(in_order)} arguments by position, and {len(args)} came"
            raise InputError(f"{function.__name__} {few}; give the others by name: {', '.join(by_name)}")
        hints = _hints(function)
        if function.__name__ == "__init__":
            args = (*map(_plain, args, map(hints.get, names)), *args[len(names) :])
            kwargs = {name: _plain(value, hints.get(name)) for name, value in kwargs.items()}
        for name, value in (*zip(names, args, strict=False), *kwargs.items()):
            if name in hints:
                _require_type(name, value, hints[name])
        return function(*args, **kwargs)

    return checked


def _plain(value: Any, hint: Any) -> Any:
    """Return a number of NumPy, or any library, as one of Python, and so an array for which `hint` has a Sequence.

    >>> import numpy as np
    >>> _plain(np.int64(5), None), _plain({"da": np.float32(0.5)}, None), _plain(np.array(["han"]), Sequence[str])
    (5, {'da': 0.5}, ['han'])
    """
    if isinstance(value, dict):
        return {name: _plain(each, None) for name, each in value.items()}
    dimensions = getattr(value, "ndim", None)
    is_list = dimensions == 1 and any(get_origin(kind) is Sequence for kind in _of_union(hint))
    if (dimensions == 0 or is_list) and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Real) and not isinstance(value, int | float):  # NumPy's longdouble, or a fraction
        with suppress(OverflowError):
            return int(value) if isinstance(value, Integral) else float(value)
    return value


def _unknown(name: str, function: Any, names: Sequence[str], args: Sequence[Any]) -> str:
    """Return what is wrong with a parameter that a function, or the class whose `__init__` it is, does not have."""
    called = type(args[0]) if function.__name__ == "__init__" else function
    taken = f"it takes {listed([each for each in names if each not in ('self', 'cls')], NAMES)}"
    elsewhere = getattr(called, "ELSEWHERE", "")
    advice = did_you_mean(name, names, "; ".join(filter(None, [taken, elsewhere])))
    return f"is not a parameter of {called.__name__}; {advice}"


def _require_type(name: str, value: Any, hint: Any) -> None:
    words = None
    if get_origin(hint) is Annotated:
        hint, words = get_args(hint)
    if not _fits(value, hint):
        give = words or " or ".join(dict.fromkeys(_in_words(hint)))
        file = "; write the table to a Parquet file, and give its path" if _is_table(value) and "a path" in give else ""
        raise ParameterError(f"is of type {type(value).__name__}; give {give}{file}", name)
    _require_choices(name, value, hint)
    _require_paths(name, value, hint)


def _require_choices(name: str, value: Any, hint: Any) -> None:
    """Raise an InputError unless `value` is one of the strings of a Literal, or a list of such strings."""
    if get_origin(hint) is Literal:
        require_one_of(name, value, get_args(hint))
    elif get_origin(hint) is Sequence and get_origin(get_args(hint)[0]) is Literal:
        require_several(name, value)
        for item in value:
            require_one_of(name, item, get_args(get_args(hint)[0]))


def _require_paths(name: str, value: Any, hint: Any) -> None:
    """Raise a ParameterError for an empty path, or an item of a list of paths that is empty or no path.

    >>> _require_paths("output", Path(""), str | Path)
    Traceback (most recent call last):
    runtime.errors.ParameterError: output is empty; give a path (Path("") is Path("."): give Path.cwd() if you mean it)
    """
    for kind in _of_union(hint):
        if (get_origin(kind) or kind) in _PATHS and _is_empty(value):
            more = ' (Path("") is Path("."): give Path.cwd() if you mean it)' if isinstance(value, PurePath) else ""
            raise ParameterError(f"is empty; give a path{more}", name)
        if get_origin(kind) is Sequence and _PATHS & {
            get_origin(part) or part for part in _of_union(get_args(kind)[0])
        }:
            for number, item in enumerate(() if isinstance(value, str | bytes | PathLike | NoneType) else value):
                _require_type(f"{name}[{number}]", item, get_args(kind)[0])


def _is_table(value: object) -> bool:
    """Say whether a value is a table of pandas, Polars, Arrow or Spark."""
    return hasattr(value, "columns") and hasattr(value, "filter")


def _is_empty(path: object) -> bool:
    return path == PurePath() if isinstance(path, PurePath) else isinstance(path, str) and not path.strip()


@functools.cache
def _hints(function: Any) -> dict[str, Any]:
    """Return the type hint of each parameter, except numbers and types that are imported only for type checking."""
    hints = {}
    for name, hint in function.__annotations__.items():
        with suppress(NameError):
            annotated = SimpleNamespace(__annotations__={name: hint})
            resolved = get_type_hints(annotated, function.__globals__, include_extras=True)[name]
            if not all(kind in _NUMBERS for kind in _of_union(resolved)):
                hints[name] = resolved
    return hints


def _fits(value: object, hint: Any) -> bool:
    if len(kinds := _of_union(hint)) > 1:
        return any(_fits(value, kind) for kind in kinds)
    kind = get_origin(hint) or hint
    kind = {None: NoneType, dict: Mapping, int: Integral, float: Real}.get(kind, kind)
    if not isinstance(kind, type) or kind.__name__ == _WITH_STAND_INS:
        return True
    if getattr(kind, "_is_protocol", False):
        has = (hasattr(value, name) for name in vars(kind) if not name.startswith("_"))
        return not isinstance(value, str) and all(has)  # a string has methods of many names, and would pass
    if kind in (Sequence, Iterable) and (isinstance(value, PathLike) or getattr(value, "ndim", 0) == 1):
        return True  # `require_several` refuses a path; a column of pandas counts as a list
    is_url = kind in (Path, PathLike) and hasattr(value, "joinpath")  # a UPath is neither a Path nor a PathLike
    return isinstance(value, kind) or is_url


def _in_words(hint: Any) -> list[str]:
    """Return words for each type of a type hint, for a message that says what to give.

    >>> _in_words(str | PathLike[str] | None)
    ['a string', 'a path', 'None']
    """
    kinds = [get_origin(kind) or kind for kind in _of_union(hint)]
    names = [getattr(kind, "__name__", str(kind)).removesuffix("Hook") for kind in kinds]  # a protocol of that class
    return [_IN_WORDS.get(name, name) for name in names]


def _of_union(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
