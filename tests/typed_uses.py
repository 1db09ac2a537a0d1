"""What a type checker says of programs: the right ones pass, the wrong ones fail in the editor.

Nothing of this is run. ``make types`` reads it: of a line that is no longer wrong mypy says that
its ``type: ignore`` is unused, and that is an error.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiodicom
from aiodicom.announcing import Announcement, Announcer
from aiodicom.events import Event, RequestEnded
from aiodicom.monitor import Monitor
from aiodicom.storage import EndedStudy, Layout, Studies, by_study_uid
from aiodicom.tls import TLS, AcceptorTLS

STORAGE = aiodicom.FileStorage(Path("received"), durability="none", duplicates="keep")


# Handlers that are right -------------------------------------------------------------------------


async def returns_status(request: aiodicom.StoreRequest) -> aiodicom.Status:
    dataset = await request.decode(pixels=False)
    return aiodicom.Status.SUCCESS if "PatientID" in dataset else aiodicom.Status.COERCION


async def returns_number(request: aiodicom.StoreRequest, /) -> int:
    seen = await request.peek("StudyInstanceUID", 0x00080060)
    async with request.as_file() as file:
        return len(file.read()) + len(seen)


async def reads_blocks(request: aiodicom.StoreRequest) -> int:
    block: aiodicom.Block | None = await request.dataset.block(at_least=4096)
    context: aiodicom.PresentationContext = request.context
    command: aiodicom.CommandSet = request.command
    return len(block.views) + context.context_id + (command.number(0x0110) or 0) if block else 0


async def with_more(request: aiodicom.StoreRequest, bucket: str = "") -> int:
    raise aiodicom.Refused(aiodicom.Status.OUT_OF_RESOURCES, bucket)


class Object:
    async def __call__(self, request: aiodicom.StoreRequest) -> int:
        return await STORAGE(request)

    async def method(self, request: aiodicom.StoreRequest) -> int:
        return 0


def closure(bucket: str) -> Callable[[aiodicom.StoreRequest], Awaitable[int]]:
    async def handler(request: aiodicom.StoreRequest) -> int:
        return await with_more(request, bucket)

    return handler


async def answers(request: aiodicom.EchoRequest) -> int:
    return request.message_id and 0


async def decides(association: aiodicom.AssociationInfo) -> None:
    proposed: tuple[aiodicom.ProposedContext, ...] = association.request.presentation_contexts
    if not proposed:
        raise aiodicom.AssociationRejected("nothing proposed")


async def verifies(info: aiodicom.AssociationInfo, identity: aiodicom.UserIdentity) -> None:
    raise aiodicom.not_authenticated()


async def announced(announcement: Announcement) -> None: ...


async def follows(stored: aiodicom.StoredObject) -> None: ...


def ended(study: EndedStudy) -> None: ...


def watches(event: Event) -> None: ...


RIGHT: list[aiodicom.StoreHandler] = [
    returns_status,
    returns_number,
    reads_blocks,
    with_more,
    Object(),
    Object().method,
    closure("one"),
    functools.partial(with_more, bucket="two"),
    aiodicom.tee(STORAGE, aiodicom.at_most(4, returns_number)),
    aiodicom.when(STORAGE, sop_class="CTImageStorage", otherwise=returns_status),
]


def right_servers(context: ssl.SSLContext, tls: AcceptorTLS, rules: aiodicom.AccessRules) -> None:
    aiodicom.serve(store=STORAGE, ae_title="INGEST", port=11112)
    aiodicom.serve(store=closure("three"), echo=answers, authorize=decides, ssl=context)
    aiodicom.serve(listeners=[aiodicom.Listener(0), aiodicom.Listener(2762, ssl=tls)])
    aiodicom.serve(access=aiodicom.Access(calling_ae_titles=["CT1"], verify=verifies))
    aiodicom.serve(access=rules, watchers=[Monitor(STORAGE.room), watches])
    aiodicom.run(store=STORAGE, contexts={"1.2.840.10008.1.1": ["1.2.840.10008.1.2"]}, workers=2)
    layout = Layout(sorting=by_study_uid())
    aiodicom.FileStorage("received", layout=layout, studies=Studies(on_end=ended))
    aiodicom.FileStorage("received", on_stored=follows, announcer=Announcer(announced))


async def right_sender(paths: list[Path]) -> list[aiodicom.StoreResult]:
    roles = [aiodicom.RoleSelection("1.2.840.10008.5.1.4.1.1.2", 1, 0)]
    async with aiodicom.connect("localhost", 11112, roles=roles) as requestor:
        agreed: aiodicom.Agreed = requestor.agreed
        header = aiodicom.read_header(paths[0])
        await requestor.c_store(paths[0], priority=aiodicom.Priority.HIGH)
        return [r async for r in requestor.send([*paths, header]) if agreed.accept and r.stored]


# Handlers that are wrong -------------------------------------------------------------------------


def is_not_async(request: aiodicom.StoreRequest) -> int:
    return 0


async def returns_nothing(request: aiodicom.StoreRequest) -> None: ...


async def returns_text(request: aiodicom.StoreRequest) -> str:
    return "ok"


async def yields(request: aiodicom.StoreRequest) -> AsyncIterator[int]:
    yield 0


async def takes_two(request: aiodicom.StoreRequest, bucket: str) -> int:
    return 0


async def watches_late(event: Event) -> None: ...


def watches_some(event: RequestEnded) -> None: ...


def wrong_servers(tls: TLS) -> None:
    aiodicom.serve(store=is_not_async)  # type: ignore[arg-type]
    aiodicom.serve(store=returns_nothing)  # type: ignore[arg-type]
    aiodicom.serve(store=returns_text)  # type: ignore[arg-type]
    aiodicom.serve(store=yields)  # type: ignore[arg-type]
    aiodicom.serve(store=takes_two)  # type: ignore[arg-type]
    aiodicom.serve(store=answers)  # type: ignore[arg-type]
    aiodicom.serve(store=aiodicom.FileStorage)  # type: ignore[arg-type]
    aiodicom.serve(store=closure)  # type: ignore[arg-type]
    aiodicom.tee(STORAGE, is_not_async)  # type: ignore[arg-type]
    aiodicom.serve(echo=returns_status)  # type: ignore[arg-type]
    aiodicom.serve(authorize=answers)  # type: ignore[arg-type]
    aiodicom.serve(watchers=[watches_late])  # type: ignore[list-item]
    aiodicom.serve(watchers=[watches_some])  # type: ignore[list-item]
    aiodicom.serve(access=aiodicom.Access)  # type: ignore[arg-type]
    aiodicom.Access(verify=decides)  # type: ignore[arg-type]
    aiodicom.serve(STORAGE)  # type: ignore[call-arg]
    aiodicom.serve(prot=11112)  # type: ignore[call-arg]
    aiodicom.run(port="11112")  # type: ignore[arg-type]
    aiodicom.serve(listeners=[11112])  # type: ignore[list-item]
    aiodicom.Listener(2762, ssl=tls)  # type: ignore[arg-type]
    aiodicom.Limits(asociations=3)  # type: ignore[call-arg]
    aiodicom.FileStorage("received", durability="fast")  # type: ignore[arg-type]
    aiodicom.FileStorage("received", on_stored=announced)  # type: ignore[arg-type]
    _ = aiodicom.FielStorage  # type: ignore[attr-defined]


async def wrong_handler(request: aiodicom.StoreRequest) -> None:
    for _ in request.dataset:  # type: ignore[attr-defined]
        raise aiodicom.Refused("no")  # type: ignore[arg-type]
    request.peek("Modality").get("Modality")  # type: ignore[attr-defined]
    with request.as_file():  # type: ignore[attr-defined]
        request.dataset.read(10)  # type: ignore[call-arg, unused-coroutine]


async def wrong_sender(requestor: aiodicom.Requestor) -> None:
    aiodicom.connect("localhost", "11112")  # type: ignore[arg-type]
    for _ in requestor.send(["one"]):  # type: ignore[attr-defined]
        await requestor.c_store(1)  # type: ignore[arg-type]
    requestor.send(["one"], form="none")  # type: ignore[arg-type]
