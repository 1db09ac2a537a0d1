import anyio

import aiodicom


async def store(request: aiodicom.StoreRequest) -> int:
    name = request.sop_instance_uid.replace("/", "_")
    async with await anyio.open_file(f"{name}.dcm", "wb") as file:
        await file.write(request.file_meta())
        async for chunk in request.dataset:  # while it arrives
            await file.write(chunk)
    return aiodicom.Status.SUCCESS


aiodicom.run(store=store, host="127.0.0.1", port=11112)
