import shutil

from pynetdicom import AE, AllStoragePresentationContexts, _config, evt

_config.STORE_RECV_CHUNKED_DATASET = True


def handle_store(event):
    name = event.request.AffectedSOPInstanceUID.replace("/", "_")
    shutil.move(event.dataset_path, f"{name}.dcm")
    return 0x0000


ae = AE()
ae.supported_contexts = AllStoragePresentationContexts
ae.start_server(("127.0.0.1", 11112), evt_handlers=[(evt.EVT_C_STORE, handle_store)])
