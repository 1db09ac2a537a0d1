from pydicom.uid import MRImageStorage

import aiodicom
from aiodicom import Refused, Status


async def store(request: aiodicom.StoreRequest) -> int:
    if request.association.calling_ae_title == "NOISY":
        raise Refused(Status.NOT_AUTHORIZED, "not from you")  # before the dataset has come
    request.dataset.discard()  # or read it: success without either is an error
    if request.sop_class_uid == MRImageStorage:
        return 0xB007
    return Status.SUCCESS


aiodicom.run(store=store, host="127.0.0.1", port=11112)
