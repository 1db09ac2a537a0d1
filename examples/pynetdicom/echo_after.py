import aiodicom


async def echo(request: aiodicom.EchoRequest) -> int:
    print("echo from", request.association.calling_ae_title, flush=True)
    return aiodicom.Status.SUCCESS


aiodicom.run(echo=echo, host="127.0.0.1", port=11112)
