import sys

from pynetdicom import AE, AllStoragePresentationContexts, evt


def handle_store(event):
    print("stored", flush=True)
    return 0x0000


ae = AE()
ae.supported_contexts = AllStoragePresentationContexts
server = ae.start_server(
    ("127.0.0.1", 11112), block=False, evt_handlers=[(evt.EVT_C_STORE, handle_store)]
)
sys.stdin.read()  # whatever else the program does
server.shutdown()
