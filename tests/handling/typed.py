"""What a type checker says of handlers: nothing here runs, and mypy reads all of it.

An ignored error that is none any more is an error itself (``warn_unused_ignores``).
"""

from __future__ import annotations

from collections.abc import Awaitable

import aiodicom
from aiodicom import (
    AssociationInfo,
    EchoRequest,
    FileStorage,
    Status,
    StoreHandler,
    StoreRequest,
    at_most,
    serve,
    tee,
    when,
)

# Handlers ----------------------------------------------------------------------------------------


async def function(request: StoreRequest) -> int:
    return Status.SUCCESS


async def of_status(request: StoreRequest) -> Status:
    return Status.SUCCESS


async def otherwise_named(it: StoreRequest, more: int = 0) -> int:
    return more


def not_a_coroutine(request: StoreRequest) -> Awaitable[int]:
    return function(request)


async def of_anything(request: object) -> int:
    return 0


class Store:
    async def __call__(self, request: StoreRequest) -> int:
        return Status.SUCCESS

    async def method(self, request: StoreRequest) -> int:
        return Status.SUCCESS


def closure(status: int) -> StoreHandler:
    async def handler(request: StoreRequest) -> int:
        return status

    return handler


def right() -> None:
    serve(store=function)
    serve(store=of_status)
    serve(store=otherwise_named)
    serve(store=not_a_coroutine)
    serve(store=of_anything)
    serve(store=Store())
    serve(store=Store().method)
    serve(store=closure(0))
    serve(store=FileStorage("received"))
    serve(store=tee(FileStorage("received"), function, Store()))
    serve(store=when(at_most(4, function), sop_class=["CTImageStorage"], otherwise=Store()))


# What is none ------------------------------------------------------------------------------------


def synchronous(request: StoreRequest) -> int:
    return Status.SUCCESS


async def of_nothing(request: StoreRequest) -> None:
    pass


async def of_text(request: StoreRequest) -> str:
    return "0000"


async def of_another(request: EchoRequest) -> int:
    return Status.SUCCESS


async def of_two(request: StoreRequest, status: int) -> int:
    return status


async def of_none() -> int:
    return Status.SUCCESS


class Synchronous:
    def __call__(self, request: StoreRequest) -> int:
        return Status.SUCCESS


def wrong() -> None:
    serve(store=synchronous)  # type: ignore[arg-type]
    serve(store=of_nothing)  # type: ignore[arg-type]
    serve(store=of_text)  # type: ignore[arg-type]
    serve(store=of_another)  # type: ignore[arg-type]
    serve(store=of_two)  # type: ignore[arg-type]
    serve(store=of_none)  # type: ignore[arg-type]
    serve(store=Synchronous())  # type: ignore[arg-type]
    serve(store=Store)  # type: ignore[arg-type]
    serve(echo=function)  # type: ignore[arg-type]
    tee(function, synchronous)  # type: ignore[arg-type]
    tee()  # type: ignore[call-arg]
    when(of_nothing, sop_class="CTImageStorage")  # type: ignore[arg-type]
    when(function, sop_class="CTImageStorage", otherwise=synchronous)  # type: ignore[arg-type]
    when(function, sop_class=1)  # type: ignore[arg-type]
    at_most(function, 4)  # type: ignore[arg-type]
    at_most(4, synchronous)  # type: ignore[arg-type]


# Hooks, and what a request has -------------------------------------------------------------------


async def authorize(association: AssociationInfo) -> None:
    pass


def authorize_at_once(association: AssociationInfo) -> None:
    pass


async def reading(request: StoreRequest) -> int:
    serve(authorize=authorize)
    serve(authorize=authorize_at_once)  # type: ignore[arg-type]
    name: str = (await request.peek("Modality", 0x00100010)).Modality
    await request.peek(b"Modality")  # type: ignore[arg-type]
    rows: int = (await request.decode(pixels=False)).Rows
    await request.decode(False)  # type: ignore[call-arg]
    async with request.as_file() as file:
        data: bytes = file.read()
    return len(name) + rows + len(data)


# Names that there are not ------------------------------------------------------------------------


def misspelt() -> None:
    aiodicom.FileStorge("received")  # type: ignore[attr-defined]
