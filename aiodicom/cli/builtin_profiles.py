"""SOP classes as configuration files name them, and the profiles that need no file."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from aiodicom.cli.syntaxes import fold, of_kind, transfer_syntax, uid_of
from aiodicom.storage.layout import PREFIXES
from aiodicom.wire.negotiation import UNCOMPRESSED, VERIFICATION

__all__ = ["BUILT_IN", "Contexts", "abstract_syntax", "built_in"]

Contexts = tuple[tuple[str, tuple[str, ...]], ...]
"""Abstract syntaxes, and the transfer syntaxes for each, in order."""

_ROOT = "1.2.840.10008.5.1."

# DCMTK's names where the standard's keyword is another one, or newer than pydicom's dictionary,
# and those of its early versions.
_NAMES = """
1.27=RETIRED_StoredPrintStorage 1.29=RETIRED_HardcopyGrayscaleImageStorage
1.30=RETIRED_HardcopyColorImageStorage 4.1.1.3=RETIRED_UltrasoundMultiframeImageStorage
4.1.1.5=RETIRED_NuclearMedicineImageStorage 4.1.1.6=RETIRED_UltrasoundImageStorage
4.1.1.8=RETIRED_StandaloneOverlayStorage 4.1.1.9=RETIRED_StandaloneCurveStorage
4.1.1.9.1=DRAFT_WaveformStorage 4.1.1.9.100.1=WaveformPresentationStateStorage
4.1.1.9.100.2=WaveformAcquisitionPresentationStateStorage
4.1.1.10=RETIRED_StandaloneModalityLUTStorage 4.1.1.11=RETIRED_StandaloneVOILUTStorage
4.1.1.12.2=XRayFluoroscopyImageStorage 4.1.1.12.3=RETIRED_XRayAngiographicBiPlaneImageStorage
4.1.1.66.7=LabelMapSegmentationStorage 4.1.1.66.8=HeightMapSegmentationStorage
4.1.1.77.1=RETIRED_VLImageStorage 4.1.1.77.2=RETIRED_VLMultiframeImageStorage
4.1.1.88.1=DRAFT_SRTextStorage 4.1.1.88.2=DRAFT_SRAudioStorage 4.1.1.88.3=DRAFT_SRDetailStorage
4.1.1.88.4=DRAFT_SRComprehensiveStorage 4.1.1.88.11=BasicTextSR 4.1.1.88.22=EnhancedSR
4.1.1.88.33=ComprehensiveSR 4.1.1.88.50=MammographyCADSR
4.1.1.88.59=KeyObjectSelectionDocument 4.1.1.88.70=ImplantationPlanSRDocumentStorage
4.1.1.128=PETImageStorage 4.1.1.129=RETIRED_StandalonePETCurveStorage
4.1.1.129=PETCurveStorage 4.1.1.601.1=DICONDE_EddyCurrentImageStorage
4.1.1.601.2=DICONDE_EddyCurrentMultiframeImageStorage
4.1.1.601.3=DICONDE_ThermographyImageStorage
4.1.1.601.4=DICONDE_ThermographyMultiFrameImageStorage
4.1.1.601.5=DICONDE_UltrasoundWaveformStorage 4.34.1=DRAFT_RTBeamsDeliveryInstructionStorage
"""


@functools.cache
def _by_name() -> Mapping[str, str]:
    # A tenth of a second that only profiles cost.
    from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]

    names = {
        fold(entry[4]): uid for uid, entry in UID_dictionary.items() if "SOP Class" in entry[1]
    }
    pairs = (pair.partition("=") for pair in _NAMES.split())
    return names | {fold(name): _ROOT + tail for tail, _, name in pairs}


def _find(folded: str) -> str | None:
    return _by_name().get(folded) or _by_name().get(folded.removesuffix("sopclass"))


def abstract_syntax(text: str) -> str:
    """Return the UID of a SOP class that a file names; raise `ValueError` where none is."""
    return uid_of(text, _find, "SOP class")


# The classes below are named as their files are: by the prefix that layout.py has for them.

_WITH_PIXELS = """
HG HC CR DX DP DXm DPm DXo DPo CT CTe CTl USf USm MR MRe MRc MRl NMr USr US USe PA SC SCs SCb SCw
SCc XA XAe RF RFe XB XA3 XC3 BT BX BP OCt OCp NM PM SG SGl SGh VLr VLe VVe VLm VVm VLs VLp VVp OPb
OPw OPt OWs OW3 OCe OCb VLw VLd CFm CFt VMr OPm CM PI PIl PIe RI RD RIe RIc CTs DXs DPs AI2 AI3 EC
ECm TG TGm
"""

_NOT_CURRENT = """
SP HG HC USf NMr USr OV CV ML VO XB VLr VMr PC WV_d SR_t SR_a SR_d SR_c RB_d
CTs DXs DPs TDR AI2 AI3 QR EC ECm TG TGm UW
"""  # retired, drafts, DICOS and DICONDE

_SENT_IMAGES = """
CR CT DXo DPo DXm DPm DX DP CTe MRe XAe RFe MR SCw SCc SCb SCs NM OPw OPb PI RI SC US USm VLe VLm
VLp VLs XA RF
"""
_SENT_ULTRASOUND = "US USm"
_SENT_OTHERS = """
ECA SRt AUV WVc SRh SRo PSc SRc PDF SRe ECG PSg WVh KO SRm MRs SRp PSp RAW RTb RTr RD RP RS RTs FID
RGs OPr TLE SRd
"""
_SENT_VIDEOS = "VVe VVm VVp"

BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "storescp.cfg": ("Default", "AllDICOM"),
    "storescu.cfg": ("Default",),
}
"""The profiles that there are without a file, by the name of the file that DCMTK has them in."""


def built_in(file: str, profile: str) -> Contexts:
    """Return the presentation contexts of a profile in `BUILT_IN`."""
    if file == "storescu.cfg":
        return tuple(_sent())
    return tuple(_received(all_dicom=profile == "AllDICOM"))


def _received(*, all_dicom: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what a receiver stores whatever its encoding, without loss before with loss."""
    others = (*of_kind("deflated"), *UNCOMPRESSED)
    images = (*of_kind("lossless", "lossy", "video", "deflated", "encapsulated"), *UNCOMPRESSED)
    with_pixels, not_current = set(_WITH_PIXELS.split()), set(_NOT_CURRENT.split())
    yield VERIFICATION, UNCOMPRESSED
    for uid, prefix in PREFIXES.items():
        if not (all_dicom and prefix in not_current):
            yield uid, images if prefix in with_pixels else others


def _sent() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield 128 contexts: what is common, images compressed and uncompressed."""
    uids = {prefix: uid for uid, prefix in PREFIXES.items()}
    for prefix in _SENT_IMAGES.split():
        yield uids[prefix], (transfer_syntax("JPEGBaseline"),)
        yield uids[prefix], (transfer_syntax("JPEGLosslessSV1"),)
        if prefix in _SENT_ULTRASOUND.split():
            yield uids[prefix], (transfer_syntax("RLELossless"),)
        yield uids[prefix], UNCOMPRESSED
    for prefix in _SENT_OTHERS.split():
        yield uids[prefix], UNCOMPRESSED
    for prefix in _SENT_VIDEOS.split():
        yield uids[prefix], (transfer_syntax("MPEG2MPML"),)
