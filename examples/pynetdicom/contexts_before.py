from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification


def handle_store(event):
    print(event.context.transfer_syntax, flush=True)
    return 0x0000


ae = AE()
ae.add_supported_context(Verification)
ae.add_supported_context(CTImageStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
ae.start_server(("127.0.0.1", 11112), evt_handlers=[(evt.EVT_C_STORE, handle_store)])
