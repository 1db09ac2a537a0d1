import ssl

from pynetdicom import AE, AllStoragePresentationContexts, evt


def handle_store(event):
    print("over TLS", flush=True)
    return 0x0000


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("certificate.pem", "key.pem")
context.load_verify_locations("authority.pem")
context.verify_mode = ssl.CERT_REQUIRED

ae = AE()
ae.supported_contexts = AllStoragePresentationContexts
ae.start_server(
    ("127.0.0.1", 11112),
    ssl_context=context,
    evt_handlers=[(evt.EVT_C_STORE, handle_store)],
)
