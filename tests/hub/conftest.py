"""A Hub on this machine, which this process and those that it starts find in their environment."""

import pytest

from tests.support.hub_runs import forget
from tests.support.hub_server import TOKEN, hub_server

pytest.importorskip("huggingface_hub")


@pytest.fixture(scope="session")
def running_hub(tmp_path_factory):
    with hub_server() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_DISABLE_XET", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        # Where the client was imported before, it has taken the addresses of the real Hub, or stays offline.
        patch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        patch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield hub


@pytest.fixture
def hub(running_hub, monkeypatch):
    """A Hub without datasets, for a user who has logged in."""
    from curation.leaves.hub import answers

    running_hub.reset()
    forget()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(answers, "wait", lambda *_: 0.0)
    return running_hub
