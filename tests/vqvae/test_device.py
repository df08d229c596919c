import pytest
import torch

from vqvae.device import usable_device
from vqvae.errors import ConfigError


def test_auto_is_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert usable_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert usable_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_device_that_is_there_is_itself(device):
    assert usable_device(device) == torch.device("cpu")


@pytest.mark.parametrize("name", ["toaster", "meta", "cuda:99"])
def test_a_device_that_is_not_is_named_with_the_way_out(name):
    with pytest.raises(ConfigError, match=rf"^device '{name}' cannot be used here \(.+\); cpu always can$"):
        usable_device(name)
