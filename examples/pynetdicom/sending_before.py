from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import Verification

dataset = dcmread("image.dcm")
ae = AE(ae_title="CT1")
ae.add_requested_context(Verification)
ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
association = ae.associate("127.0.0.1", 11112, ae_title="ARCHIVE")
if not association.is_established:
    raise SystemExit("no association")
print(f"echo: {association.send_c_echo().Status:04x}")
status = association.send_c_store(dataset)
print(f"image.dcm: {status.Status:04x}" if status else "image.dcm: no answer")
association.release()
