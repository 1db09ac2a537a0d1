import aiodicom
from aiodicom.tls import TLS, AcceptorTLS


async def store(request: aiodicom.StoreRequest) -> int:
    request.dataset.discard()
    print("over TLS", flush=True)
    return aiodicom.Status.SUCCESS


tls = TLS("key.pem", "certificate.pem", authorities=("authority.pem",))
aiodicom.run(store=store, ssl=AcceptorTLS(tls), host="127.0.0.1", port=11112)
