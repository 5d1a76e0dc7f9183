"""The fixed words that mark what a report is, written once so that screen, export and model card agree.

Plain text in characters every standard font has. This module knows nothing of layout.
"""

from __future__ import annotations

RESEARCH_LINE = "Research use only - not a medical device, not for diagnosis."
DEMO_MARK = "DEMONSTRATION MODEL"
DEMO_LINE = "Drafted by a demonstration model trained on synthetic images: it has never seen a patient."
UNSIGNED_MARK = "UNSIGNED DRAFT"
UNSIGNED_LINE = "Unsigned draft - not reviewed and signed by a clinician."
SIGNED_LINE = "Signed electronically"
EXTRACTOR_LINE = "rule-based, not CheXbert"
