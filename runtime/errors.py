"""Define the exceptions of all packages for input that cannot be used, and checks of parameters and their types."""

import errno
import os
import re
import resource
import traceback
from collections.abc import Collection
from typing import Any

from runtime.redaction import redacted

_names_flags = False  # whether messages name flags in this process
OPEN_FILES = 4096  # enough for Spark, whose Java opens some 300 archives, and for the workers of many cores
# If the system refuses a thread or memory, the errors have various classes, but contain one of these strings.
_NO_THREADS = ("can't start new thread", "Failed to launch worker thread", "Resource temporarily unavailable")
_NO_MEMORY = ("failed to map segment", "Cannot allocate memory", "libllvmlite", "LLVM ERROR: out of memory")
AGAIN = "run the same command again to resume"
# A flag of this project in a message. If the name of a command is before it, the flag belongs to that command.
_FLAG = re.compile(r"(?P<command>\b(?:clip|spark)-[\w-]+(?: [\w-]+)* )?(?<![^\s(])--(?P<name>[a-z][a-z-]*)(?![\w-])")
_PARAMETERS = {"gate_step": "steps"} | {switch: f"{switch}=True" for switch in ("overwrite", "skip_unreadable")}
FLAGS = {"steps": "--gate-step", "min_language_scores": "--min-language-score"}  # flags not named as their parameters
_settings: Collection[str] = ()  # parameters that have no flag in the command of this process
_SETTING = re.compile(r"--set (\w+)(?:=(true|false)\b)?")  # a setting in a message
_ERRNO = re.compile(r"\[Errno -?\d+\] ")  # the number that the system puts before the text of an error


class InputError(ValueError):
    """Input cannot be used; the message states the input, the expected input and a remedy, without secrets of URLs.

    Messages are written with flags. Python code reads names of parameters instead, unless `name_flags` was called.

    >>> str(InputError("https://me:word@a.org/b?token=0f does not exist; leave out --target-size"))
    'https://a.org/b does not exist; leave out target_size'
    """

    def __init__(self, *args: Any):
        super().__init__(*(_in_one_line(redacted(arg)) if isinstance(arg, str) else arg for arg in args))

    def __str__(self) -> str:
        return _spelled(super().__str__())


def _in_one_line(text: str) -> str:
    """Return a message without line breaks and error numbers, which messages of Arrow and Python may contain."""
    return _ERRNO.sub("", " ".join(map(str.strip, text.splitlines())))


def unusable(path: str, fault: str, reason: str) -> InputError:
    """Return the error that `path` has a fault for a reason; only the reason, if it begins with the path itself.

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
        super().__init__(fault, *names)  # Pickle makes the exception again from all arguments.

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
    """Let messages name flags in this process: a command, or a worker, whose driver rewords its errors."""
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
    return (
        f"this process may only have {limit:,} files open at once; allow more with ulimit -n {OPEN_FILES}, and {AGAIN}"
    )


class LowLimit(InputError):
    """A limit of this process is too low. The inputs are not to blame, so a command ends with another exit status."""


def low_limit(error: BaseException) -> LowLimit | None:
    """Return an error that names the limit of this process that `error` comes from; None if it comes from none.

    >>> str(low_limit(RuntimeError("can't start new thread"))).partition(";")[0]
    'the system does not let this command start more threads or processes'
    >>> low_limit(ValueError("no number"))
    """
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    is_cut = "requested and" in text and resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
    if number == errno.EFBIG or "File too large" in text or is_cut:
        limit = f"this process may not write files of more than {_limit(resource.RLIMIT_FSIZE)} bytes"
        return LowLimit(f"{limit}; allow larger files (ulimit -f), and {AGAIN}")
    if number == errno.EAGAIN or any(sign in text for sign in _NO_THREADS):
        limit = "the system does not let this command start more threads or processes"
        return LowLimit(f"{limit}; allow a hundred more (ulimit -u, or the limit of a container), and {AGAIN}")
    is_of_memory = isinstance(error, MemoryError) or number == errno.ENOMEM or any(sign in text for sign in _NO_MEMORY)
    if is_of_memory and resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        limit = f"this command may only use {_limit(resource.RLIMIT_AS)} bytes of address space, which is too little"
        return LowLimit(f"{limit}; allow more (ulimit -v), and {AGAIN}")
    return None


def _limit(kind: int) -> str:
    return f"{resource.getrlimit(kind)[0]:,}"


def require_utf8(name: str) -> None:
    """Raise an InputError if a file's name or an argument is not UTF-8: neither JSON nor Arrow could hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise InputError(f"the name {shown} is not UTF-8; give the file or folder a name in UTF-8") from None


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
