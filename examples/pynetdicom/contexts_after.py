from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

import aiodicom

VERIFICATION = "1.2.840.10008.1.1"


async def store(request: aiodicom.StoreRequest) -> int:
    request.dataset.discard()
    print(request.transfer_syntax_uid, flush=True)
    return aiodicom.Status.SUCCESS


aiodicom.run(
    store=store,
    contexts={
        VERIFICATION: [ImplicitVRLittleEndian],
        CTImageStorage: [ExplicitVRLittleEndian, ImplicitVRLittleEndian],
    },
    host="127.0.0.1",
    port=11112,
)
