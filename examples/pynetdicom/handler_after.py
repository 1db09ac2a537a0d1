import aiodicom


async def store(request: aiodicom.StoreRequest) -> int:
    dataset = await request.decode()
    calling = request.association.calling_ae_title
    print(calling, dataset.Modality, dataset.SOPInstanceUID, flush=True)
    return aiodicom.Status.SUCCESS


aiodicom.run(store=store, host="127.0.0.1", port=11112)
