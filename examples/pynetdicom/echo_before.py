from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification


def handle_echo(event):
    print("echo from", event.assoc.requestor.ae_title, flush=True)
    return 0x0000


ae = AE()
ae.add_supported_context(Verification)
ae.start_server(("127.0.0.1", 11112), evt_handlers=[(evt.EVT_C_ECHO, handle_echo)])
