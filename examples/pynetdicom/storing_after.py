import aiodicom

aiodicom.run(
    store=aiodicom.FileStorage("received"),
    ae_title="ARCHIVE",
    host="127.0.0.1",
    port=11112,
)
