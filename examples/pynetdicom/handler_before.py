from pynetdicom import AE, AllStoragePresentationContexts, evt


def handle_store(event):
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    print(event.assoc.requestor.ae_title, dataset.Modality, dataset.SOPInstanceUID, flush=True)
    return 0x0000


ae = AE()
ae.supported_contexts = AllStoragePresentationContexts
ae.start_server(("127.0.0.1", 11112), evt_handlers=[(evt.EVT_C_STORE, handle_store)])
