"""Tests of the Hub, which need its client."""

import pytest

pytest.importorskip("huggingface_hub")
