from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage


def handle_store(event):
    return 0x0000


ae = AE(ae_title="ARCHIVE")
ae.add_supported_context(CTImageStorage)
ae.require_called_aet = True
ae.require_calling_aet = ["CT1", "CT2"]
ae.maximum_associations = 1
ae.maximum_pdu_size = 65536
ae.acse_timeout = 30
ae.dimse_timeout = 30
ae.network_timeout = 60
ae.start_server(("127.0.0.1", 11112), evt_handlers=[(evt.EVT_C_STORE, handle_store)])
