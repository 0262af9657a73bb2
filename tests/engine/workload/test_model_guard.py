"""A change of the base weights is seen, and a full fine-tuning is undone."""

from __future__ import annotations

import torch
from torch import nn

from speedtui.engine.workload.weights_guard import Fingerprint, Snapshot, hash_tensor


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_an_untouched_model_has_the_same_fingerprint() -> None:
    model = network()
    fingerprint = Fingerprint(model)
    model(torch.ones(3, 3)).sum().backward()
    assert fingerprint.changed(network()) == []


def test_a_changed_weight_is_named() -> None:
    model = network()
    fingerprint = Fingerprint(model)
    with torch.no_grad():
        model.get_parameter("0.bias")[1] += 1e-6
    assert fingerprint.changed(model) == ["0.bias"]


def test_a_lost_weight_is_named() -> None:
    model = network()
    fingerprint = Fingerprint(model)
    del model[2]
    assert fingerprint.changed(model) == ["2.weight"]


def test_a_large_tensor_is_hashed_by_an_even_sample() -> None:
    large = torch.zeros(5_000_000)
    changed = large.clone()
    changed[-2500:] = 1
    assert hash_tensor(large) == hash_tensor(large.clone()) != hash_tensor(changed)


def test_a_bfloat16_tensor_can_be_hashed() -> None:
    assert hash_tensor(torch.ones(3, dtype=torch.bfloat16)) != hash_tensor(torch.ones(3, dtype=torch.float16))


def test_a_snapshot_undoes_training_in_place() -> None:
    model = network().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    storage = model.get_parameter("0.weight").data_ptr()
    snapshot = Snapshot(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.rand(8, 3)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(model.state_dict()["1.running_mean"], before["1.running_mean"])
    snapshot.restore(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.get_parameter("0.weight").data_ptr() == storage
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_snapshot_leaves_frozen_weights_alone() -> None:
    model = network()
    model[0].requires_grad_(False)
    snapshot = Snapshot(model)
    with torch.no_grad():
        model.get_parameter("0.weight").zero_()
    snapshot.restore(model)
    assert model.get_parameter("0.weight").abs().sum() == 0
