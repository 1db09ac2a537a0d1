import asyncio

import aiodicom


async def main() -> None:
    async with aiodicom.connect(
        "127.0.0.1", 11112, called_ae_title="ARCHIVE", calling_ae_title="CT1"
    ) as requestor:
        print(f"echo: {await requestor.c_echo():04x}")
        async for result in requestor.send(["image.dcm"]):  # or a whole study
            answered = result.status is not None
            print(f"{result.path}: {result.status:04x}" if answered else "image.dcm: no answer")


try:
    asyncio.run(main())
except (OSError, aiodicom.DicomError):
    raise SystemExit("no association") from None
