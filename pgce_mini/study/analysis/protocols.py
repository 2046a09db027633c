"""The protocols of the studies, the oldest first: a new one is a file like `protocol_1`, and a name here."""

from pgce_mini.study.analysis.hypotheses import Family, Protocol
from pgce_mini.study.analysis.protocol_1 import STUDY_1
from pgce_mini.study.analysis.protocol_2 import STUDY_2

PROTOCOLS: tuple[Protocol, ...] = (STUDY_1, STUDY_2)
FAMILIES: tuple[Family, ...] = tuple(
    family for protocol in PROTOCOLS for family in protocol.families if not family.post_hoc
)
"""those that were planned"""
ORDER = tuple(part for protocol in PROTOCOLS for part in protocol.parts)


def family_named(name: str) -> Family:
    """One that was planned."""
    return next(family for family in FAMILIES if family.name == name)
