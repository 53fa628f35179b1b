"""An offloaded function on both sides: its name, its arguments and its result as bytes, and the call itself."""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from . import wire
from .errors import without_ours

PROTOCOL: Final = 5  # of pickle: all Pythons since 3.8 have it


class OffloadError(RuntimeError):
    """A function could not be run in another process, or what came of it could not be sent."""


class RemoteTraceback(Exception):
    """Where the function raised, in the other process. Shown as the cause of what it raised."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


@dataclass(frozen=True)
class Job:
    """What is to be called."""

    function: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    timeout: float

    @property
    def milliseconds(self) -> int:
        return max(1, round(1000 * self.timeout))

    def pickled(self) -> bytes:
        """The arguments."""
        data = pickle.dumps((self.args, self.kwargs), PROTOCOL)
        if len(data) > wire.MAX_JOB:
            raise ValueError(
                f"the arguments of {self.function} are {len(data):,} bytes; at most {wire.MAX_JOB:,} can be offloaded. "
                "Pass a path, or a key of what both can read"
            )
        return data

    def result(self, outcome: int, data: bytes) -> Any:
        """What the function returned; raises what it raised."""
        value = pickle.loads(data)
        if outcome == wire.OUTCOME_RETURNED:
            return value
        error, text = value
        error.__cause__ = RemoteTraceback(text)
        raise error


def name_of(function: Callable[..., Any]) -> str:
    """Under which name another process finds the function."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module == "__main__":
        raise TypeError(
            f"offload expects a function that another process can import; {name} is one of the script itself "
            "(__main__). Move it to a module"
        )
    spec = f"{module}:{name}"
    try:
        found = find(spec)
    except (ImportError, AttributeError):
        found = None
    if found is None or found != function:
        raise TypeError(
            f"offload expects a function that another process can import, and calls it there with the arguments; "
            f"{function!r:.80} is not found as {spec}. Define it at the top level of a module"
        )
    return spec


def find(spec: str) -> Any:
    module, _, name = spec.partition(":")
    found: Any = sys.modules.get(module) or import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def carry_out(function: str, pickled: bytes) -> tuple[int, bytes]:
    """Call it; gives the outcome, and as bytes what it returned or raised."""
    try:
        args, kwargs = pickle.loads(pickled)
        value = find(function)(*args, **kwargs)
    except Exception as error:
        return _raised(error)
    except BaseException as error:  # sys.exit() is not to end whoever waits for the result
        return _raised(OffloadError(f"{function} raised {type(error).__name__}: {error}"), error)
    try:
        data = pickle.dumps(value, PROTOCOL)
    except Exception as error:
        return _raised(OffloadError(f"the result of {function} cannot be pickled: {error}"), error)
    if len(data) > wire.MAX_JOB:
        text = f"the result of {function} is {len(data):,} bytes; at most {wire.MAX_JOB:,} can be sent. Return a path"
        return _raised(OffloadError(text))
    return wire.OUTCOME_RETURNED, data


def _raised(error: BaseException, shown: BaseException | None = None) -> tuple[int, bytes]:
    shown = shown or error
    text = "".join(traceback.format_exception(type(shown), shown, without_ours(shown.__traceback__)))
    error.__traceback__ = None
    try:
        data = pickle.dumps((error, text), PROTOCOL)
        pickle.loads(data)  # an exception with arguments of its own often cannot be made again
    except Exception:
        data = pickle.dumps((OffloadError(f"{type(shown).__name__}: {shown}"), text), PROTOCOL)
    if len(data) > wire.MAX_JOB:
        data = pickle.dumps((OffloadError(f"{type(shown).__name__}, too large to send"), text[-10_000:]), PROTOCOL)
    return wire.OUTCOME_RAISED, data
