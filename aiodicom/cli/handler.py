"""``--handler module:function``: a user's own store handler in the daemon."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from aiodicom.cli.common import Failed
from aiodicom.cli.options import Option
from aiodicom.cli.receiving import Receiving
from aiodicom.cli.trials import admission
from aiodicom.requests import StoreHandler

__all__ = ["HANDLER", "Reference", "handling", "load_handler", "reference"]

logger = logging.getLogger("aiodicom.commands")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a handler is to be found.

    Parameters
    ----------
    module : str
        What is imported, with dots.
    attribute : str
        What it has there, perhaps with dots.
    is_made : bool
        Whether that is called, without arguments, to have a handler made.
    """

    module: str
    attribute: str
    is_made: bool = False

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}{'()' if self.is_made else ''}"


def reference(text: str) -> Reference:
    """Convert ``module:attribute``, or ``module:attribute()`` for what makes one."""
    module, _, attribute = text.partition(":")
    name = attribute.removesuffix("()")
    if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ValueError(f"{text!r} is not module:function, nor module:make() of what makes one")
    if module.endswith(".py"):
        raise ValueError(f"{text!r} names a file: {module.removesuffix('.py')}:{attribute}")
    return Reference(module, name, is_made=name != attribute)


HANDLER = Option(
    ("--handler",), "handler",
    "hand objects to h, module:function or module:make(), instead of storing them",
    "[h]andler", reference,
)  # fmt: skip


def handling(settings: Mapping[str, Any]) -> Receiving:
    """Return what a command does whose handler is somebody else's.

    Raises
    ------
    Failed
        Where there is none under that name.
    """
    return Receiving(
        load_handler(settings["handler"]),
        authorize=admission(settings),
        rest=settings["sleep_after"] or 0,
    )


def load_handler(wanted: Reference) -> StoreHandler:
    """Import a store handler; the current directory is looked in first.

    Raises
    ------
    Failed
        Where it cannot be imported or made, or is no handler: why, in one line, and the remedy.
    """
    found = _attribute_of(_imported(wanted), wanted)
    if wanted.is_made:
        found = _made(found, wanted)
    why = _why_no_handler(found, wanted)
    if why:
        raise _failed(wanted, why)
    return cast(StoreHandler, found)


# Finding it --------------------------------------------------------------------------------------


def _imported(wanted: Reference) -> object:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:  # as for `python -m`; scripts have it not
        sys.path.insert(0, here)
    try:
        return importlib.import_module(wanted.module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{wanted.module}.".startswith(f"{error.name}."):
            raise _raised(wanted, "cannot be imported", error) from None
        why = f"there is no module {error.name}, neither in this directory nor installed"
        raise _failed(wanted, f"{why}: start it where it is, or set PYTHONPATH") from None
    except (Exception, SystemExit) as error:
        raise _raised(wanted, "cannot be imported", error) from None


def _attribute_of(found: object, wanted: Reference) -> object:
    so_far = wanted.module
    for name in wanted.attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            near = difflib.get_close_matches(name, dir(found), 1)
            advice = f"did you mean {near[0]}?" if near else "name what is defined there"
            raise _failed(wanted, f"{so_far} has no attribute {name}: {advice}") from None
        except (Exception, SystemExit) as error:  # a module may import what is asked for
            raise _raised(wanted, "cannot be imported", error) from None
        so_far += f"{'.' if ':' in so_far else ':'}{name}"
    return found


def _made(make: object, wanted: Reference) -> object:
    if not callable(make):
        why = f"is an object of type {type(make).__name__} and makes nothing: leave out the ()"
        raise _failed(wanted, why)
    if inspect.iscoroutinefunction(make):
        why = "is async, as handlers are: leave out the (), or have a plain function make one"
        raise _failed(wanted, why)
    try:
        return make()
    except (Exception, SystemExit) as error:
        raise _raised(wanted, "made no handler", error) from None


# What it is --------------------------------------------------------------------------------------


def _why_no_handler(found: object, wanted: Reference) -> str:
    """Return why something is no store handler, and the remedy; nothing where it is one."""
    if inspect.isclass(found):
        remedy = "name the function in it" if wanted.is_made else f"{wanted}() has one made"
        return f"is a class, not a handler: {remedy}"
    if not callable(found):
        what = f"is an object of type {type(found).__name__} and cannot be called"
        return f"{what}: name an async function, or an object with async __call__"
    if not _is_async(found):
        more = "" if wanted.is_made else f"; {wanted}() where it makes the handler"
        return f"is not async: write `async def`{more}"
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        return "takes other arguments than a handler, which is given one: the request"
    except ValueError:  # nothing is known of it
        return ""
    return ""


def _is_async(found: object) -> bool:
    while isinstance(found, functools.partial):
        found = found.func
    call = getattr(type(found), "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(call)


# Saying it ---------------------------------------------------------------------------------------


def _raised(wanted: Reference, what: str, error: BaseException) -> Failed:
    """Return the failure that somebody else's code has raised: what it is, and where."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        logger.debug("%s", line)
    frames = [
        f"{os.path.basename(frame.filename)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen ")
        if frame.filename != importlib.__file__
    ]
    said = " ".join(f"{type(error).__name__}: {error}".split())
    where = f" ({frames[-1]})" if frames else ""
    return _failed(wanted, f"{what}: {said}{where}; -d shows all of it")


def _failed(wanted: Reference, why: str) -> Failed:
    return Failed(f"--handler {wanted}: {why}")
