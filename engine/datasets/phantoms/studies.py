"""Writes phantoms as real DICOM studies, with the truth and full-resolution masks beside them.

    studies/<patient id>/<date>/chest.dcm      Digital X-Ray Image Storage - For Presentation, 12 bits
    truth/<case id>.json                       what is where, how large, since when; the known transform; the report
    truth/<case id>/current-<finding>.png      1-bit masks of the shape of the film (also prior-<finding>.png)

Every identifier is derived from the case alone (under the 2.25 root), so the same arguments give the same bytes.
Drop ``studies`` or a patient's folder onto the viewer; ``truth`` is for programs.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, RLELossless

from engine.datasets.phantoms.model import UNIT_MM, Case, Film, Rendered, Site
from engine.datasets.phantoms.picture import WHITE, render
from engine.datasets.phantoms.sampling import inverted, sample_case
from engine.datasets.phantoms.sites import SITE_A, SITES
from engine.datasets.phantoms.training_set import SEEDS_PER_SET, check_request, describe, ordered
from engine.errors import UsageError

NAMESPACE = uuid.UUID("6f3c0a52-7f0e-5d5b-9c61-0e6f3f2a9b11")
"""Root of all name-based identifiers of phantoms."""

MAGNIFICATION = 1.05
"""How much larger the chest appears on the detector than it is."""

VIEW_CODES = {"PA": ("272479007", "Postero-anterior"), "AP": ("399348003", "Antero-posterior")}

CHUNK = 2


@dataclass(frozen=True)
class CaseFiles:
    """Where the films of a case were written."""

    current: Path
    prior: Path | None
    truth: Path


def write_studies(
    folder: Path,
    count: int,
    seed: int = 0,
    site: Site = SITE_A,
    split: str = "train",
    size: int = 1024,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    compressed: bool = False,
) -> None:
    """Write ``count`` cases as DICOM studies into ``folder``; arguments as for ``write_training``.

    Args:
        compressed: RLE Lossless instead of Explicit VR Little Endian.

    Raises:
        UsageError: a count, seed, size or folder that cannot be used.
    """
    folder = Path(folder)
    check_request(count, seed, size, workers)
    if (folder / "truth").exists():
        raise UsageError(f"{folder.name} already holds phantom studies. Choose another folder.")
    (folder / "truth").mkdir(parents=True)
    first = seed * SEEDS_PER_SET
    parts = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    done = 0
    for written in ordered(partial(_write_chunk, folder, site, split, size, compressed), parts, workers):
        done += written
        if progress is not None:
            progress(done, count)


def write_case(folder: Path, case: Case, size: int = 1024, *, compressed: bool = False) -> CaseFiles:
    """Write the studies and the truth of one case into ``folder``, replacing what an earlier call wrote there."""
    record = describe(case)
    prior = None
    record["current"], current = _write_film(folder, case, case.current, case.current_time, "current", size, compressed)
    if case.prior is not None and case.prior_time is not None:
        record["prior"], prior = _write_film(folder, case, case.prior, case.prior_time, "prior", size, compressed)
    record["report"] = {
        "indication": case.indication,
        "findings": case.findings_text,
        "impression": case.impression_text,
    }
    truth = folder / "truth" / f"{case.id}.json"
    truth.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return CaseFiles(current, prior, truth)


def _write_chunk(folder: Path, site: Site, split: str, size: int, compressed: bool, seeds: range) -> int:
    for seed in seeds:
        write_case(folder, sample_case(seed, site=site, split=split), size, compressed=compressed)
    return len(seeds)


def _write_film(
    folder: Path, case: Case, film: Film, time: datetime, role: str, size: int, compressed: bool
) -> tuple[dict[str, object], Path]:
    """Write one film and its masks; its entry in the truth file and its path."""
    rendered = render(film, size, masks=True)
    dataset = to_dicom(case, film, time, role, rendered)
    if compressed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    path = folder / "studies" / case.person.id / f"{time:%Y%m%d-%H%M}" / "chest.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    masks: dict[str, str] = {}
    (folder / "truth" / case.id).mkdir(parents=True, exist_ok=True)
    for name, mask in rendered.masks.items():
        relative = f"{case.id}/{role}-{name.replace(' ', '-')}.png"
        buffer = BytesIO()
        Image.fromarray(mask).save(buffer, "PNG")
        (folder / "truth" / relative).write_bytes(buffer.getvalue())
        masks[name] = relative
    entry: dict[str, object] = {
        "file": path.relative_to(folder).as_posix(),
        "study_uid": str(dataset.StudyInstanceUID),
        "sop_uid": str(dataset.SOPInstanceUID),
        "time": time.isoformat(),
        "view": film.view,
        "rows": rendered.pixels.shape[0],
        "columns": rendered.pixels.shape[1],
        "masks": masks,
    }
    return entry, path


def identifier(*parts: str) -> UID:
    """A UID under the 2.25 root that is a function of its parts."""
    return UID(f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(parts)).int}")


def to_dicom(case: Case, film: Film, time: datetime, role: str, rendered: Rendered) -> FileDataset:
    """A film as a DICOM data set ready to be saved: PS3.3 A.26, Digital X-Ray Image For Presentation."""
    key = (case.id, case.site, role)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = identifier("instance", *key)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = identifier("implementation")
    meta.ImplementationVersionName = "INTERVAL_PHANTOM"
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.SpecificCharacterSet = "ISO_IR 192"
    _who_and_when(data, case, time, key)
    _acquisition(data, film)
    _pixels(data, film, rendered, inverted(film, SITES.get(case.site, SITE_A)))
    return data


def _who_and_when(data: Dataset, case: Case, time: datetime, key: tuple[str, str, str]) -> None:
    """Patient, study, series and equipment modules."""
    person = case.person
    birthday = (person.birth_date.month, person.birth_date.day)
    age = time.year - person.birth_date.year - ((time.month, time.day) < birthday)
    data.PatientName = person.name
    data.PatientID = person.id
    data.IssuerOfPatientID = "PHANTOM"
    data.PatientBirthDate = f"{person.birth_date:%Y%m%d}"
    data.PatientSex = person.sex
    data.PatientAge = f"{age:03d}Y"
    data.PatientComments = "Synthetic phantom; never a patient."
    data.StudyInstanceUID = identifier("study", *key)
    data.SeriesInstanceUID = identifier("series", *key)
    data.StudyID = "1"
    data.SeriesNumber = 1
    data.InstanceNumber = 1
    data.AccessionNumber = f"PH{int(identifier('accession', *key)[5:]) % 10**10:010d}"
    data.ReferringPhysicianName = ""
    data.StudyDescription = "XR CHEST (PHANTOM)"
    data.SeriesDescription = "CHEST FRONTAL"
    data.Modality = "DX"
    data.PresentationIntentType = "FOR PRESENTATION"
    for name in ("Study", "Series", "Acquisition", "Content"):
        setattr(data, f"{name}Date", f"{time:%Y%m%d}")
        setattr(data, f"{name}Time", f"{time:%H%M%S}")
    data.Manufacturer = "PHANTOM"
    data.ManufacturerModelName = "PHANTOM"
    data.DeviceSerialNumber = f"SITE-{case.site.upper()}"
    data.SoftwareVersions = "1"
    data.InstitutionName = f"PHANTOM SITE {case.site.upper()}"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _acquisition(data: Dataset, film: Film) -> None:
    """Anatomy, detector, positioning and acquisition context modules."""
    data.ImageLaterality = "U"
    data.BodyPartExamined = "CHEST"
    data.AnatomicRegionSequence = Sequence([_code("51185008", "SCT", "Chest")])
    data.ViewPosition = film.view
    code, meaning = VIEW_CODES[film.view]
    view = _code(code, "SCT", meaning)
    view.ViewModifierCodeSequence = Sequence([])
    data.ViewCodeSequence = Sequence([view])
    erect = film.view == "PA"
    orientation = _code("10904000", "SCT", "Erect") if erect else _code("102538003", "SCT", "Recumbent")
    orientation.PatientOrientationModifierCodeSequence = Sequence([])
    data.PatientOrientationCodeSequence = Sequence([orientation])
    data.PatientOrientation = ["L", "F"]
    data.DetectorType = "SCINTILLATOR"
    data.DetectorConfiguration = "AREA"
    data.DetectorID = "PHANTOM"
    data.KVP = "120" if erect else "90"
    data.AcquisitionContextSequence = Sequence([])


def _pixels(data: Dataset, film: Film, rendered: Rendered, invert: bool) -> None:
    """Image, pixel and VOI LUT modules."""
    pixels = WHITE - rendered.pixels if invert else rendered.pixels
    rows, columns = pixels.shape
    spacing = UNIT_MM * MAGNIFICATION / (film.pose.scale * max(rows, columns))
    data.ImageType = ["ORIGINAL", "PRIMARY", ""]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME1" if invert else "MONOCHROME2"
    data.PresentationLUTShape = "INVERSE" if invert else "IDENTITY"
    data.Rows, data.Columns = rows, columns
    data.ImagerPixelSpacing = [f"{spacing:.5f}", f"{spacing:.5f}"]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelIntensityRelationship = "LOG"
    data.PixelIntensityRelationshipSign = 1 if invert else -1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "0", "1", "US"
    # DICOM's LINEAR window is centred half a value below the given centre; mirrored values move it to 4096 - centre.
    center = WHITE + 1 - rendered.window_center if invert else rendered.window_center
    data.WindowCenter, data.WindowWidth = f"{center:.1f}", f"{rendered.window_width:.1f}"
    data.WindowCenterWidthExplanation = "CHEST"
    data.LossyImageCompression = "00"
    data.BurnedInAnnotation = "NO"
    data.PixelData = np.ascontiguousarray(pixels, dtype="<u2").tobytes()
    data["PixelData"].VR = "OW"
