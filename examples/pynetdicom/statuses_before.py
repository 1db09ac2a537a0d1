from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import MRImageStorage


def handle_store(event):
    if event.assoc.requestor.ae_title == "NOISY":
        status = Dataset()
        status.Status = 0x0124
        status.ErrorComment = "not from you"
        return status
    if event.request.AffectedSOPClassUID == MRImageStorage:
        return 0xB007
    return 0x0000


ae = AE()
ae.supported_contexts = AllStoragePresentationContexts
ae.start_server(("127.0.0.1", 11112), evt_handlers=[(evt.EVT_C_STORE, handle_store)])
