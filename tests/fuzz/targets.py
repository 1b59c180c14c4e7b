"""All targets of the fuzzer by name."""

from tests.fuzz.inputs import INPUTS
from tests.fuzz.judges import JUDGES
from tests.fuzz.models import MODELS
from tests.fuzz.pictures import PICTURES
from tests.fuzz.tables import TABLES
from tests.fuzz.target import Target
from tests.fuzz.tars import TARS

TARGETS: dict[str, Target] = TARS | MODELS | JUDGES | PICTURES | INPUTS | TABLES
