"""Which wording compares with an earlier image, and which only looks like it."""

from __future__ import annotations

import pytest

from engine.reports.findings import compares

COMPARING = [
    "Compared to the prior study, no pneumothorax.",
    "The effusion has increased.",
    "Unchanged cardiomegaly.",
    "No new consolidation.",
    "Interval removal of the endotracheal tube.",
    "Previously seen nodule is not visible.",
    "Again seen is a small effusion.",
    "The opacity is smaller than before.",
    "As compared to the previous radiograph, the lungs are clear.",
    "Since the prior exam, edema improved.",
    "The heart remains enlarged.",
    "No interval change.",
    "The effusion is no longer seen.",
    "Stable postoperative appearance of the chest.",
    "New left consolidation.",
    "Persistent atelectasis.",
    "Worsening edema.",
    "Left effusion, now large, has progressed.",
]
NOT_COMPARING = [
    "No comparison available.",
    "No prior studies are available for comparison.",
    "Comparison: None.",
    "No priors.",
    "There are no prior radiographs for comparison.",
    "Prior cholecystectomy.",
    "Status post prior cardiac surgery.",
    "Old healed rib fractures.",
    "Patient with stable vital signs.",
    "The patient is clinically stable.",
    "Indication: worsening dyspnea, new fever.",
    "History: increasing shortness of breath since yesterday.",
    "Worsening cough and new oxygen requirement.",
    "The heart is enlarged.",
    "Mildly enlarged cardiac silhouette.",
    "Increased lucency of the upper lungs.",
    "Increased interstitial markings.",
    "Decreased lung volumes.",
    "Degenerative changes of the spine.",
    "Elevated right hemidiaphragm.",
    "Bilateral effusions, right greater than left.",
    "Small left pleural effusion.",
    "No pleural effusion or pneumothorax.",
    "Normal chest radiograph.",
    "Chronic changes at the apices.",
]


@pytest.mark.parametrize("text", COMPARING)
def test_comparing(text: str) -> None:
    assert compares(text)


@pytest.mark.parametrize("text", NOT_COMPARING)
def test_not_comparing(text: str) -> None:
    assert compares(text) == ()


def test_spans_are_the_words_of_the_text() -> None:
    text = "Normal heart.  The EFFUSION has\nincreased since the prior study; edema is unchanged."
    spans = compares(text)
    assert all(text[span.start : span.end] == span.text for span in spans)
    assert [span.text.split()[0].lower() for span in spans] == ["has", "since", "is"]
