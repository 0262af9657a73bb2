"""Predictions that were made before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.memory.peak_model import LinearBytes, MemoryRequest, MemorySurface, PeakMoment, Prediction
from speedtui.engine.memory.predict import predict
from speedtui.engine.memory.prediction_cache import keep, kept, key_of_request
from tests.engine.memory.small import Started, llama, no_process, starting

KEY = key_of_request(llama())
LINE = LinearBytes(fixed=1 / 3, per_row=0.1)
MOMENTS = (PeakMoment(name="backward", weights=LINE, gradients=LINE, optimizer=LINE, activations=LINE, logits=LINE),)
SURFACE = MemorySurface(accumulating=MOMENTS, at_once=MOMENTS, single=MOMENTS, single_at_once=MOMENTS, layers=(2, 4))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a prediction that is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep(KEY, Prediction(outcome=SURFACE, seconds=2.5))
    return tmp_path / "speedtui" / "memory" / f"{KEY}.json"


def test_what_was_predicted_before_is_the_same_in_no_time_without_a_process(cache: Path) -> None:
    assert predict([llama()], no_process) == [Prediction(outcome=SURFACE, seconds=0.0)]


def test_whoever_asks_needs_no_torch(cache: Path) -> None:
    script = """
        import sys, msgspec
        from speedtui.engine.memory.predict import predict
        from speedtui.engine.memory.peak_model import MemoryRequest
        request = msgspec.json.decode(sys.argv[1], type=MemoryRequest)
        (found,) = predict([request], lambda *_: None)
        print(found.seconds, "torch" in sys.modules, "transformers" in sys.modules)
    """
    encoded = msgspec.json.encode(llama()).decode()
    ran = subprocess.run([sys.executable, "-c", dedent(script), encoded], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["0.0", "False", "False"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe", b'{"outcome": {"type": "surface"}, "seconds": 1.0}',
        b'{"outcome": {"type": "unpredictable", "reason": "\xff"}, "seconds": 1.0}',
    ],
)  # fmt: skip
def test_a_damaged_cache_file_is_computed_again(cache: Path, content: bytes) -> None:
    cache.write_bytes(content)
    with pytest.raises(Started):
        predict([llama()], starting)


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    keep(KEY, Prediction(outcome=SURFACE, seconds=2.5))
    assert kept(KEY) is None
    with pytest.raises(Started):
        predict([llama()], starting)


def test_another_rank_is_another_prediction_and_another_learning_rate_is_not() -> None:
    def key(r: int, learning_rate: float) -> str | None:
        return key_of_request(llama(method="lora", lora=LoraSettings(r=r), learning_rate=learning_rate))

    assert key(8, 1e-4) == key(8, 2e-4) != key(16, 1e-4)


def test_an_older_device_has_other_kernels_and_its_own_prediction() -> None:
    asked = [msgspec.structs.replace(llama(), device="cuda", capability=c) for c in (None, (7, 5), (8, 0), (9, 0))]
    assert len({key_of_request(request) for request in asked}) == 4


def test_a_changed_config_of_a_local_model_is_another_prediction(tmp_path: Path) -> None:
    settings = msgspec.convert({"model": {"path": str(tmp_path)}}, type(llama().settings))
    asked = MemoryRequest(settings=settings, longest_tokens=16)
    assert key_of_request(asked) is None  # no config yet
    keys = []
    for layers in (2, 3):
        (tmp_path / "config.json").write_text(f'{{"num_hidden_layers": {layers}}}')
        keys.append(key_of_request(asked))
    assert None not in keys and len(set(keys)) == 2
