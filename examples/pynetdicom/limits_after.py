import aiodicom


async def store(request: aiodicom.StoreRequest) -> int:
    request.dataset.discard()
    return aiodicom.Status.SUCCESS


aiodicom.run(
    store=store,
    ae_title="ARCHIVE",
    access=aiodicom.Access(called_ae_titles=["ARCHIVE"], calling_ae_titles=["CT1", "CT2"]),
    limits=aiodicom.Limits(associations=1),
    maximum_length=65536,
    timeouts=aiodicom.Timeouts(association=30, dimse=30, network=60),
    host="127.0.0.1",
    port=11112,
)
