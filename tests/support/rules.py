"""The recommended rules of a policy, and what they say of images and texts."""

import pyarrow as pa

from curation.plugins.gate.filters import ImageBatch
from curation.plugins.gate.policies.personal_data import KINDS
from curation.plugins.gate.policies.policies import RULES, Policy

CHOSEN = Policy.parse(["recommended", "min_words:4", "min_stated_size:100", "file_name", "headline:50"])
# The others have tests of their own.
POLICY = Policy({name: number for name, number in CHOSEN.numbers.items() if name not in (*KINDS, "credit")})


def failing(name: str, rows: pa.RecordBatch) -> list[bool]:
    """Return which images or texts a rule removes."""
    return RULES[name].filter(CHOSEN.numbers[name]).mask(ImageBatch.of(rows)).tolist()
