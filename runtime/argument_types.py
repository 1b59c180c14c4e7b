"""Refuse arguments of a wrong type or out of range, each with a sentence that names the parameter."""

import functools
import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from numbers import Integral, Real
from os import PathLike
from pathlib import Path, PurePath
from types import FunctionType, NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from runtime.errors import InputError, ParameterError
from runtime.messages import NAMES, did_you_mean, listed, shortened, shown
from runtime.redaction import redacted

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
LARGEST_COUNT = 10**9  # of things that are held or made at a time; a larger number is a typing error
MOST_ROWS = 10**12  # of images, texts or matches: all crawls together have fewer
MOST_CORES = 10_000  # processes of one machine
_SEEDS = (-(2**63), 2**64 - 1)  # integers of 64 bits, with or without a sign


def require_integer(name: str, value: object, minimum: int, maximum: int = LARGEST_COUNT) -> None:
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
        raise ParameterError(f"is of type {type(value).__name__}; pass {give}", name)


def require_several(what: str, values: object) -> None:
    """Raise an InputError if `values` is one string or path, not a list: Python would iterate over its letters."""
    if isinstance(values, str | bytes | PathLike):
        one = redacted(values)[:40] if isinstance(values, str) else values
        raise InputError(f"{what} must be a sequence of strings; got one, {one!r}: put it into a list")


def require_inputs(values: Sequence[str | PathLike]) -> None:
    """Raise an InputError if `values`, the inputs of a program, are one path instead of a list, or none at all."""
    require_several("inputs", values)
    if not len(values):
        raise ParameterError("is an empty list; pass files, folders, globs or URLs", "inputs")


def typed(called: Called) -> Called:
    """Make a function, or all public methods of a class, refuse arguments whose types differ from the annotations.

    The decorated function raises a ParameterError. A class's constructor is checked only if the class has a
    __post_init__. Other constructors are not checked: the parts that they are given may be stand-ins.

    A Literal accepts only its strings. An empty path is refused. Numbers and strings in place of lists are left to
    `require_integer`, `require_several` and similar functions, whose messages say more. Items of lists are checked if
    they are words or paths; items of mappings are not checked. The text of an Annotated type is the advice in messages.

    For a constructor, numbers and lists of NumPy and pandas are converted to Python's, which JSON can represent.

    >>> @typed
    ... def kept(name: str, balance: bool = True) -> None: ...
    >>> kept("a", balance="no")
    Traceback (most recent call last):
    runtime.errors.ParameterError: balance is of type str; pass True or False
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
    in_order = [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    by_name = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in names and not takes_any:
                raise ParameterError(_unknown(name, function, names, args), name)
        if by_name and len(args) > len(in_order):
            few = f"takes {len(in_order)} arguments by position, and {len(args)} came"
            raise InputError(f"{function.__name__} {few}; give the others by name: {', '.join(by_name)}")
        hints = _hints(function)
        values = [*args]
        if function.__name__ == "__init__":
            values = [*map(_plain, args, map(hints.get, names)), *args[len(names) :]]
            kwargs = {name: _plain(value, hints.get(name)) for name, value in kwargs.items()}
        for name, value in (*zip(names, values, strict=False), *kwargs.items()):
            if name in hints:
                _require_type(name, value, hints[name])
        return function(*values, **kwargs)

    return checked


def _plain(value: Any, hint: Any) -> Any:
    """Return a number of NumPy or another library as a Python number, and an array as a list if `hint` has a Sequence.

    >>> import numpy as np
    >>> _plain(np.int64(5), None), _plain({"da": np.float32(0.5)}, None), _plain(np.array(["han"]), Sequence[str])
    (5, {'da': 0.5}, ['han'])
    """
    if isinstance(value, dict):
        return {name: _plain(item, None) for name, item in value.items()}
    dimensions = getattr(value, "ndim", None)
    is_list = dimensions == 1 and any(get_origin(kind) is Sequence for kind in _of_union(hint))
    if (dimensions == 0 or is_list) and hasattr(value, "tolist"):
        value = value.tolist()
    # The value is a longdouble of NumPy, or a fraction.
    if isinstance(value, Real) and not isinstance(value, int | float):
        with suppress(OverflowError):
            return int(value) if isinstance(value, Integral) else float(value)
    return value


def _unknown(name: str, function: Any, names: Sequence[str], args: Sequence[Any]) -> str:
    """Return what is wrong with a parameter that a function, or the class whose `__init__` it is, does not have."""
    called = type(args[0]) if function.__name__ == "__init__" else function
    taken = f"it takes {listed([name for name in names if name not in ('self', 'cls')], NAMES)}"
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
        raise ParameterError(f"is of type {type(value).__name__}; pass {give}{file}", name)
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
    runtime.errors.ParameterError: output is empty; pass a path (Path("") is Path("."): pass Path.cwd() if you mean it)
    """
    for kind in _of_union(hint):
        if (get_origin(kind) or kind) in _PATHS and _is_empty(value):
            more = ' (Path("") is Path("."): pass Path.cwd() if you mean it)' if isinstance(value, PurePath) else ""
            raise ParameterError(f"is empty; pass a path{more}", name)
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
        return not isinstance(value, str) and all(has)  # A string has methods of many names, and would pass.
    if kind in (Sequence, Iterable) and (isinstance(value, PathLike) or getattr(value, "ndim", 0) == 1):
        return True  # `require_several` refuses a path; a column of pandas counts as a list.
    is_url = kind in (Path, PathLike) and hasattr(value, "joinpath")  # A UPath is neither a Path nor a PathLike.
    return isinstance(value, kind) or is_url


def _in_words(hint: Any) -> list[str]:
    """Return words for each type of a type hint, for a message that says what to give.

    >>> _in_words(str | PathLike[str] | None)
    ['a string', 'a path', 'None']
    """
    kinds = [get_origin(kind) or kind for kind in _of_union(hint)]
    # The protocol of the class Gate is GateHook, for example.
    names = [getattr(kind, "__name__", str(kind)).removesuffix("Hook") for kind in kinds]
    return [_IN_WORDS.get(name, name) for name in names]


def _of_union(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
