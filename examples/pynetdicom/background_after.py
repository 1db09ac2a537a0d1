import asyncio
import sys

import aiodicom


async def store(request: aiodicom.StoreRequest) -> int:
    request.dataset.discard()
    print("stored", flush=True)
    return aiodicom.Status.SUCCESS


async def main() -> None:
    async with aiodicom.serve(store=store, host="127.0.0.1", port=11112):
        await asyncio.to_thread(sys.stdin.read)  # whatever else the program does


asyncio.run(main())
