"""Predicted peaks against real ones, and an 8 B model's surface from a few of its layers against all of them."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from figures import keep, table

from speedtui.engine.memory.compute import surface
from speedtui.engine.memory.peak_model import MemoryRequest, MemorySurface, Prediction
from speedtui.engine.memory.predict import predict
from speedtui.engine.units import GIB, MIB
from speedtui.engine.workload.base import silent
from tests.engine.memory.real import peak_of, real_peak, request
from tests.engine.memory.sides import CUTS, cut_pairs, sized
from tests.engine.memory.sides import asked as cut_request

P95_ERROR = 0.03
UNDER = 0.02
CPU_SECONDS = 5.0
LARGE_CPU_SECONDS = 10.0
LARGE_ERROR = 0.005

LLAMA: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 4,
}  # fmt: skip
TINY = {**LLAMA, "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
QWEN2 = {**LLAMA, "model_type": "qwen2", "tie_word_embeddings": True}
DEEP = {**QWEN2, "num_hidden_layers": 14}
GEMMA2 = {
    **LLAMA, "model_type": "gemma2", "num_hidden_layers": 12, "head_dim": 32, "sliding_window": 64,
}  # fmt: skip
GPT2: dict[str, Any] = {"model_type": "gpt2", "vocab_size": 4096, "n_embd": 256, "n_layer": 4, "n_head": 8}
MILLION_125 = {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12}
LLAMA_125 = {
    **LLAMA, "vocab_size": 32000, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12,
    "num_attention_heads": 12, "num_key_value_heads": 12,
}  # fmt: skip
T5: dict[str, Any] = {
    "model_type": "t5", "vocab_size": 4096, "d_model": 256, "d_ff": 512, "d_kv": 32, "num_layers": 4,
    "num_decoder_layers": 4, "num_heads": 8,
}  # fmt: skip
BART: dict[str, Any] = {
    "model_type": "bart", "vocab_size": 4096, "d_model": 256, "encoder_layers": 4, "decoder_layers": 4,
    "encoder_ffn_dim": 512, "decoder_ffn_dim": 512, "encoder_attention_heads": 8, "decoder_attention_heads": 8,
    "max_position_embeddings": 512,
}  # fmt: skip
LARGE = {
    "model_type": "llama", "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
}  # fmt: skip


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration, and the micro-batch and accumulation it is probed with."""

    name: str
    request: MemoryRequest
    micro: int
    accumulation: int = 2


def lora(r: int, targets: Any = "all-linear", dropout: float = 0.0) -> dict[str, Any]:
    from speedtui.engine.config.settings import LoraSettings

    return {"method": "lora", "lora": LoraSettings(r=r, target_modules=targets, dropout=dropout)}


FULL: dict[str, Any] = {"method": "full"}
CKPT: dict[str, Any] = {"gradient_checkpointing": True}
SEQ2SEQ: dict[str, Any] = {"kind": "seq2seq"}
ATTENTION = ["q_proj", "v_proj"]

CASES = [
    Case(name="tiny llama full", request=request(TINY, tokens=128, **FULL), micro=8),
    Case(name="tiny llama lora r8 dropout", request=request(TINY, tokens=128, **lora(8, dropout=0.1)), micro=16),
    Case(name="llama full at once", request=request(LLAMA, tokens=128, **FULL), micro=4, accumulation=1),
    Case(name="llama full", request=request(LLAMA, tokens=128, **FULL), micro=4),
    Case(name="llama full +ckpt", request=request(LLAMA, tokens=128, **FULL, **CKPT), micro=8),
    Case(name="llama full bf16", request=request(LLAMA, tokens=128, bf16=True, **FULL), micro=8),
    Case(name="llama full bf16 +ckpt", request=request(LLAMA, tokens=128, bf16=True, **FULL, **CKPT), micro=8),
    Case(name="llama full eager", request=request(LLAMA, tokens=256, attention="eager", **FULL), micro=3),
    Case(name="llama full no clipping", request=request(LLAMA, tokens=64, max_grad_norm=0, **FULL), micro=1),
    Case(name="llama full adamw_torch", request=request(LLAMA, tokens=32, optimizer="adamw_torch", **FULL), micro=2,
         accumulation=1),
    Case(name="llama lora r16", request=request(LLAMA, tokens=128, **lora(16)), micro=8),
    Case(name="llama lora r64 q v", request=request(LLAMA, tokens=128, **lora(64, ATTENTION)), micro=8),
    Case(name="llama lora r16 one row", request=request(LLAMA, tokens=256, **lora(16)), micro=1),
    Case(name="llama lora bf16 weights", request=request(LLAMA, tokens=128, dtype="bfloat16", **lora(16)), micro=8),
    Case(name="llama lora bf16 both", request=request(LLAMA, tokens=128, dtype="bfloat16", bf16=True, **lora(16),
         **CKPT), micro=8),
    Case(name="qwen2 14 layers lora +ckpt", request=request(DEEP, tokens=128, **lora(8), **CKPT), micro=8),
    Case(name="qwen2 14 layers full", request=request(DEEP, tokens=96, **FULL), micro=4, accumulation=1),
    Case(name="qwen2 adafactor", request=request(QWEN2, tokens=64, optimizer="adafactor", **FULL), micro=2),
    Case(name="qwen2 sgd", request=request(QWEN2, tokens=64, optimizer="sgd", **FULL), micro=2, accumulation=1),
    Case(name="gemma2 12 layers lora eager", request=request(GEMMA2, tokens=128, attention="eager", **lora(8)),
         micro=4),
    Case(name="gemma2 12 layers full +ckpt", request=request(GEMMA2, tokens=128, attention="eager", **FULL, **CKPT),
         micro=4),
    Case(name="gpt2 full", request=request(GPT2, tokens=128, **FULL), micro=4),
    Case(name="gpt2 lora +ckpt", request=request(GPT2, tokens=128, **lora(16), **CKPT), micro=8, accumulation=1),
    Case(name="gpt2 125M full", request=request(MILLION_125, tokens=128, **FULL), micro=2, accumulation=1),
    Case(name="llama 125M lora", request=request(LLAMA_125, tokens=256, **lora(16)), micro=2),
    Case(name="llama 125M full +ckpt", request=request(LLAMA_125, tokens=128, **FULL, **CKPT), micro=2),
    Case(name="t5 full", request=request(T5, tokens=128, targets=48, **SEQ2SEQ, **FULL), micro=4),
    Case(name="t5 lora +ckpt", request=request(T5, tokens=128, targets=48, **SEQ2SEQ, **lora(16), **CKPT), micro=8),
    Case(name="t5 full eager at once", request=request(T5, tokens=64, targets=96, attention="eager", **SEQ2SEQ,
         **FULL), micro=8, accumulation=1),
    Case(name="bart full bf16", request=request(BART, tokens=128, targets=48, bf16=True, **SEQ2SEQ, **FULL), micro=4),
    Case(name="bart lora", request=request(BART, tokens=128, targets=48, **SEQ2SEQ, **lora(16, ATTENTION)), micro=8),
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_predicted_peaks_are_the_real_ones(tmp_path: Path) -> None:
    predictions = predict([case.request for case in CASES], silent)
    figures = [compare(case, p, tmp_path) for case, p in zip(CASES, predictions, strict=True)]
    rows = [[f["name"], f["predicted_mib"], f["real_mib"], 100 * f["error"], f["cpu_s"]] for f in figures]
    print(table([f"{len(CASES)} configurations", "predicted MiB", "real MiB", "error %", "CPU s"], rows))
    errors = sorted(abs(f["error"]) for f in figures)
    summary = {
        "p95_error": errors[math.ceil(0.95 * len(errors)) - 1],
        "lowest_error": min(f["error"] for f in figures),
        "slowest_cpu_s": max(f["cpu_s"] for f in figures),
    }
    print(summary)
    keep("memory_prediction", {"summary": summary, "figures": figures})
    assert len(figures) >= 24
    assert summary["p95_error"] <= P95_ERROR, summary
    assert summary["lowest_error"] >= -UNDER, summary
    assert summary["slowest_cpu_s"] <= CPU_SECONDS, summary


def compare(case: Case, prediction: Prediction, folder: Path) -> dict[str, Any]:
    found = prediction.outcome
    assert isinstance(found, MemorySurface), (case.name, found)
    predicted = found.peak_bytes(case.micro, accumulates=case.accumulation > 1)
    own = folder / case.name.replace(" ", "_")
    own.mkdir()
    real = real_peak(case.request, case.micro, case.accumulation, own)
    return {
        "name": f"{case.name} {case.micro}x{case.request.longest_tokens} a{case.accumulation}",
        "predicted_mib": round(predicted / MIB, 2),
        "real_mib": round(real / MIB, 2),
        "error": round(predicted / real - 1, 5),
        "cpu_s": round(prediction.seconds, 2),
        "layers": list(found.layers),
    }


def test_peaks_of_encoder_decoders_whose_sides_are_cut(tmp_path: Path) -> None:
    figures = []
    for name, architecture in {"t5": T5, "bart": BART}.items():
        plain = {key: value for key, value in architecture.items() if key != "vocab_size"}
        for cut in CUTS:
            for train, micro, accumulation in ((FULL, 4, 2), ({**lora(16), **CKPT}, 8, 1)):
                own = tmp_path / f"{len(figures)}"
                own.mkdir()
                settings, workload = cut_pairs(own, cut, plain, max_length=128, **train)
                asked = cut_request(settings, workload)
                (found,) = (prediction.outcome for prediction in predict([asked], silent))
                assert isinstance(found, MemorySurface), found
                predicted = found.peak_bytes(micro, accumulates=accumulation > 1)
                real = peak_of(workload, sized(settings, micro, accumulation), own)
                figures.append({
                    "name": f"{name}, cut: {cut}, {train['method']} {micro} a{accumulation}",
                    "source": asked.longest_tokens, "target": asked.longest_target_tokens,
                    "predicted_mib": round(predicted / MIB, 2), "real_mib": round(real / MIB, 2),
                    "error": round(predicted / real - 1, 5),
                })  # fmt: skip
    names = ("source", "target", "predicted_mib", "real_mib")
    print(table(["encoder-decoder", *names, "error %"],
                [[f["name"], *(f[n] for n in names), 100 * f["error"]] for f in figures]))  # fmt: skip
    errors = sorted(abs(f["error"]) for f in figures)
    summary = {"p95_error": errors[math.ceil(0.95 * len(errors)) - 1], "lowest_error": min(f["error"] for f in figures)}
    print(summary)
    keep("memory_prediction_seq2seq", {"summary": summary, "figures": figures})
    assert summary["p95_error"] <= P95_ERROR, summary
    assert summary["lowest_error"] >= -UNDER, summary


def test_an_8b_surface_from_a_few_layers_is_that_of_all_of_them() -> None:
    asked = {
        name: request(LARGE, tokens=2048, dtype="bfloat16", **lora(16), **settings)
        for name, settings in {"8 B LoRA": {}, "8 B LoRA +ckpt": CKPT}.items()
    }
    few = dict(zip(asked, predict(list(asked.values()), silent), strict=True))
    found = {name: against_all_layers(name, asked[name], few[name]) for name in asked}
    figures = [figure for of_one in found.values() for figure in of_one["figures"]]
    rows = [[f["name"], f["few_gib"], f["all_gib"], 100 * f["error"]] for f in figures]
    print(table(["2048 tokens", "few layers GiB", "all layers GiB", "error %"], rows))
    summary = {name: of_one["summary"] for name, of_one in found.items()}
    print(summary)
    keep("memory_prediction_8b", {"summary": summary, "figures": figures})
    for of_one in summary.values():
        assert of_one["layers"] == [2, 4]
        assert of_one["cpu_s"] < LARGE_CPU_SECONDS, summary
        assert of_one["largest_error"] <= LARGE_ERROR, summary


def against_all_layers(name: str, asked: MemoryRequest, few: Prediction) -> dict[str, Any]:
    """Few layers against all, at several micro-batches."""
    assert isinstance(few.outcome, MemorySurface), (name, few.outcome)
    began = time.process_time()
    whole = surface(asked, whole=True)
    seconds = time.process_time() - began
    figures = [
        at_size(name, few.outcome, whole, micro, accumulates)
        for micro in (1, 2, 3, 4, 8, 16, 64) for accumulates in (True, False)
    ]  # fmt: skip
    return {
        "summary": {
            "layers": list(few.outcome.layers),
            "cpu_s": few.seconds,
            "all_layers_cpu_s": round(seconds, 2),
            "largest_error": max(abs(f["error"]) for f in figures),
        },
        "figures": figures,
    }


def at_size(name: str, few: MemorySurface, whole: MemorySurface, micro: int, accumulates: bool) -> dict[str, Any]:
    a, b = few.peak_bytes(micro, accumulates=accumulates), whole.peak_bytes(micro, accumulates=accumulates)
    return {
        "name": f"{name}, {micro} rows" + (" accumulating" if accumulates else ""),
        "few_gib": round(a / GIB, 3),
        "all_gib": round(b / GIB, 3),
        "error": round(a / b - 1, 6),
    }
