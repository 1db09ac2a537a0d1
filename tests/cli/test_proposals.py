"""Which presentation contexts are proposed."""

from __future__ import annotations

from collections import Counter

import pytest

from aiodicom.cli.builtin_profiles import abstract_syntax
from aiodicom.cli.common import Failed
from aiodicom.cli.options import Command
from aiodicom.cli.proposals import USUAL_CLASSES, Lists, propose
from aiodicom.cli.syntaxes import proposal_options
from aiodicom.wire.proposal import Context, Proposal
from tests.peer import CT

ILE = "1.2.840.10008.1.2"
ELE, EBE, DEFLATED, RLE = f"{ILE}.1", f"{ILE}.2", f"{ILE}.1.99", f"{ILE}.5"
JPEG, LOSSLESS, MPEG2 = f"{ILE}.4.50", f"{ILE}.4.70", f"{ILE}.4.100"
ALL = (ELE, EBE, ILE)

SUPPORTED = """
StoredPrintStorage HardcopyGrayscaleImageStorage HardcopyColorImageStorage
ComputedRadiographyImageStorage DigitalXRayImageStorageForPresentation
DigitalXRayImageStorageForProcessing DigitalMammographyXRayImageStorageForPresentation
DigitalMammographyXRayImageStorageForProcessing DigitalIntraOralXRayImageStorageForPresentation
DigitalIntraOralXRayImageStorageForProcessing CTImageStorage
RETIRED_UltrasoundMultiframeImageStorage UltrasoundMultiframeImageStorage MRImageStorage
RETIRED_NuclearMedicineImageStorage RETIRED_UltrasoundImageStorage UltrasoundImageStorage
SecondaryCaptureImageStorage MultiframeSingleBitSecondaryCaptureImageStorage
MultiframeGrayscaleByteSecondaryCaptureImageStorage
MultiframeGrayscaleWordSecondaryCaptureImageStorage
MultiframeTrueColorSecondaryCaptureImageStorage StandaloneOverlayStorage StandaloneCurveStorage
TwelveLeadECGWaveformStorage GeneralECGWaveformStorage AmbulatoryECGWaveformStorage
HemodynamicWaveformStorage CardiacElectrophysiologyWaveformStorage BasicVoiceAudioWaveformStorage
StandaloneModalityLUTStorage StandaloneVOILUTStorage GrayscaleSoftcopyPresentationStateStorage
XRayAngiographicImageStorage XRayFluoroscopyImageStorage
RETIRED_XRayAngiographicBiPlaneImageStorage NuclearMedicineImageStorage RETIRED_VLImageStorage
VLEndoscopicImageStorage VLMicroscopicImageStorage VLSlideCoordinatesMicroscopicImageStorage
VLPhotographicImageStorage RETIRED_VLMultiFrameImageStorage BasicTextSR EnhancedSR
ComprehensiveSR MammographyCADSR KeyObjectSelectionDocument PETImageStorage PETCurveStorage
RTImageStorage RTDoseStorage RTStructureSetStorage RTBeamsTreatmentRecordStorage RTPlanStorage
RTBrachyTreatmentRecordStorage RTTreatmentSummaryRecordStorage DRAFT_WaveformStorage
DRAFT_SRTextStorage DRAFT_SRAudioStorage DRAFT_SRDetailStorage DRAFT_SRComprehensiveStorage
""".split()
"""What DCMTK's storescu said in its conformance statement that it supports."""

OPTIONS = Command("example", "shows options", {}, (proposal_options(),), {"proposal": None})


def unusual(count: int, transfer: str = ELE) -> list[tuple[str, str]]:
    """Files of so many SOP classes that are not proposed otherwise."""
    return [(f"1.2.3.{number}", transfer) for number in range(count)]


def proposed(
    *kinds: tuple[str, str], lists: Lists | None = None, **how: bool
) -> tuple[Context, ...]:
    """What is proposed, which must be something that an association may have."""
    contexts = propose(kinds, lists, **how)
    assert contexts is not None
    Proposal(contexts)
    return contexts


def of_class(contexts: tuple[Context, ...], uid: str) -> list[tuple[str, ...]]:
    return [transfer for abstract, transfer in contexts if abstract == uid]


def test_the_usual_classes_are_those_that_were_always_supported() -> None:
    assert [abstract_syntax(name) for name in SUPPORTED] == list(USUAL_CLASSES)


def test_two_contexts_for_each_usual_class_by_default() -> None:
    contexts = proposed((CT, ELE))
    assert len(contexts) == 2 * len(SUPPORTED) == 124
    for uid in USUAL_CLASSES:
        assert of_class(contexts, uid) == [(ELE,), (EBE, ILE)]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([ELE], [(ELE,), (EBE, ILE)]),
        ([EBE], [(EBE,), (ELE, ILE)]),
        ([ILE, ELE, ILE], [(ILE,), (ELE,), (EBE,)]),
        ([*ALL], [(ELE,), (EBE,), (ILE,)]),
        ([DEFLATED], [(DEFLATED,), ALL]),
        ([JPEG], [(JPEG,)]),  # there is nothing else that it could be sent as
        ([JPEG, RLE], [(JPEG,), (RLE,)]),
        ([ILE, JPEG], [(ILE,), (JPEG,), (ELE, EBE)]),
    ],
)
def test_files_need_contexts_of_their_own_transfer_syntaxes(
    own: list[str], expected: list[tuple[str, ...]]
) -> None:
    kinds = [(CT, transfer) for transfer in own]
    assert proposed(*kinds, required=True) == tuple((CT, transfer) for transfer in expected)
    contexts = proposed(*kinds)
    assert of_class(contexts, CT) == expected
    assert len(contexts) == len(expected) + 122


def test_what_files_need_comes_first_and_what_is_usual_up_to_128() -> None:
    contexts = proposed(*unusual(3))
    assert [abstract for abstract, _ in contexts[:6:2]] == ["1.2.3.0", "1.2.3.1", "1.2.3.2"]
    assert len(contexts) == 128
    assert contexts[6:] == proposed((USUAL_CLASSES[0], ELE))[:122]


def test_a_usual_class_is_never_proposed_by_half() -> None:
    contexts = proposed(*unusual(5, JPEG))
    assert len(contexts) == 127
    counts = Counter(abstract for abstract, _ in contexts[5:])
    assert set(counts.values()) == {2}


def test_only_what_files_need_where_that_is_asked_for() -> None:
    assert proposed((CT, ELE), ("1.2.3", JPEG), required=True) == (
        (CT, (ELE,)), (CT, (EBE, ILE)), ("1.2.3", (JPEG,)),
    )  # fmt: skip


def test_contexts_of_a_class_are_combined_where_that_is_asked_for() -> None:
    contexts = proposed((CT, ILE), (CT, JPEG), combine=True)
    assert contexts[0] == (CT, (ILE, JPEG, ELE, EBE))
    assert len(contexts) == len(USUAL_CLASSES)
    assert {transfer for _, transfer in contexts[1:]} == {ALL}


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("-x=", [(ELE,), (EBE, ILE)]),
        ("-xe", [(ELE,), (EBE, ILE)]),
        ("-xb", [(EBE,), (ELE, ILE)]),
        ("-xi", [(ILE,)]),
        ("-xs", [(LOSSLESS,), ALL]),
        ("-xy", [(JPEG,), ALL]),
        ("-xr", [(RLE,), ALL]),
        ("-xd", [(DEFLATED,), ALL]),
        ("-xm", [(MPEG2,)]),
    ],
)
def test_an_option_says_what_is_proposed_for_every_class(
    option: str, expected: list[tuple[str, ...]]
) -> None:
    lists = OPTIONS.parse([option])["proposal"]
    assert isinstance(lists, tuple)
    # Whatever the files are.
    contexts = proposed((CT, JPEG), (CT, EBE), lists=lists)
    assert len(contexts) == len(expected) * len(USUAL_CLASSES)
    for uid in USUAL_CLASSES:
        assert of_class(contexts, uid) == expected
    assert proposed((CT, JPEG), (CT, EBE), lists=lists, required=True) == tuple(
        (CT, transfer) for transfer in expected
    )
    together = tuple(uid for transfer in expected for uid in transfer)
    combined = proposed((CT, JPEG), lists=lists, combine=True)
    assert [transfer for _, transfer in combined] == [together] * len(USUAL_CLASSES)


def test_what_is_combined_is_there_once() -> None:
    lists = ((ELE, ILE), (ILE, EBE))
    assert proposed((CT, ELE), lists=lists, required=True, combine=True) == (
        (CT, (ELE, ILE, EBE)),
    )  # fmt: skip


@pytest.mark.parametrize("required", [False, True])
def test_more_than_128_that_were_asked_for_fail_with_the_remedy(required: bool) -> None:
    lists = ((JPEG,), ALL)
    assert len(proposed(*unusual(64), lists=lists, required=required)) == 128
    with pytest.raises(Failed) as caught:
        propose(unusual(65), lists, required=required)
    assert str(caught.value) == (
        "130 presentation contexts are needed, and an association has 128: use --combine, or no "
        "--propose option, which takes several associations"
    )
    assert caught.value.code == 1
    combined = proposed(*unusual(65), lists=lists, required=required, combine=True)
    assert len(combined) == 65 if required else 127


def test_combining_is_no_remedy_where_it_is_done() -> None:
    with pytest.raises(Failed) as caught:
        propose(unusual(129), ((JPEG,), ALL), combine=True)
    assert str(caught.value) == (
        "129 presentation contexts are needed, and an association has 128: use no --propose "
        "option, which takes several associations"
    )


@pytest.mark.parametrize("required", [False, True])
def test_files_that_alone_need_more_go_over_several_associations(required: bool) -> None:
    assert len(proposed(*unusual(64), required=required)) == 128
    assert propose(unusual(65), None, required=required) is None
    assert propose(unusual(129, JPEG), None, required=required) is None
    assert len(proposed(*unusual(65), required=required, combine=True)) <= 128
    assert propose(unusual(129), None, required=required, combine=True) is None


def test_files_of_one_kind_count_once() -> None:
    assert proposed(*unusual(1) * 200, required=True) == (
        ("1.2.3.0", (ELE,)), ("1.2.3.0", (EBE, ILE)),
    )  # fmt: skip
    assert len(proposed(*unusual(1) * 200, lists=((ELE,),), required=True)) == 1
