from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification


def requested(event):
    if event.assoc.requestor.primitive.calling_ae_title == "NOBODY":
        event.assoc.acse.send_reject(1, 1, 3)
        event.assoc.kill()  # else it may be closed before that is sent


def accepted(event):
    print("accepted", event.assoc.requestor.ae_title, flush=True)


def released(event):
    print("released", event.assoc.requestor.ae_title, flush=True)


def aborted(event):
    print("aborted", event.assoc.requestor.ae_title, flush=True)


ae = AE()
ae.add_supported_context(Verification)
ae.start_server(
    ("127.0.0.1", 11112),
    evt_handlers=[
        (evt.EVT_REQUESTED, requested),
        (evt.EVT_ACCEPTED, accepted),
        (evt.EVT_RELEASED, released),
        (evt.EVT_ABORTED, aborted),
    ],
)
