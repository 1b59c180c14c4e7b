"""The recommended rules of a policy, and what they say of images and texts."""

import numpy as np
import pyarrow as pa

from curation.plugins.gate.policies.personal_data import KINDS
from curation.plugins.gate.policies.policies import Policy
from runtime.arrow import parts

RECOMMENDED = Policy.parse(["recommended", "min_words:4", "min_stated_size:100", "file_name", "headline:50"]).rules
POLICY = Policy(
    tuple(chosen for chosen in RECOMMENDED if chosen.rule.name not in (*KINDS, "credit"))
)  # these have tests of their own
RULES = {chosen.rule.name: chosen for chosen in RECOMMENDED}


def failing_images(name: str, rows: pa.RecordBatch) -> list[bool]:
    return RULES[name].fails(rows).tolist()


def failing_texts(name: str, rows: pa.RecordBatch) -> list[bool]:
    texts, offsets = parts(rows["candidates"])
    return RULES[name].fails(texts, np.repeat(np.arange(len(rows)), np.diff(offsets)), rows).tolist()
