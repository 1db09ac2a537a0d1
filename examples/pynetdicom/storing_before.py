from pathlib import Path

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

folder = Path("received")
folder.mkdir(exist_ok=True)


def handle_store(event):
    name = event.request.AffectedSOPInstanceUID.replace("/", "_")  # a peer may send anything
    (folder / f"{name}.dcm").write_bytes(event.encoded_dataset())
    return 0x0000


ae = AE(ae_title="ARCHIVE")
ae.add_supported_context(Verification)
for context in AllStoragePresentationContexts:
    ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
ae.start_server(("127.0.0.1", 11112), evt_handlers=[(evt.EVT_C_STORE, handle_store)])
