import aiodicom
from aiodicom.events import AssociationAccepted, AssociationEnded, Event


async def authorize(info: aiodicom.AssociationInfo) -> None:
    if info.calling_ae_title == "NOBODY":
        raise aiodicom.AssociationRejected("not you", 1, 1, 3)


def watch(event: Event) -> None:
    match event:
        case AssociationAccepted():
            print("accepted", event.association.calling_ae_title, flush=True)
        case AssociationEnded():  # "released", "aborted", "lost", and others
            print(event.how, event.association.calling_ae_title, flush=True)


aiodicom.run(authorize=authorize, watchers=[watch], host="127.0.0.1", port=11112)
