"""Every kind of model that can be trained, tiny and real, with twelve rows of different lengths."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.data import default_collate
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    set_seed,
)

from speedtui.engine.config.settings import LoraSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.workload import Workload
from speedtui.engine.workload.architecture import build_architecture, train_tokenizer, wrap_tokenizer
from speedtui.engine.workload.base import DataFacts
from tests.engine.workload.small import BART, CPU, LLAMA, T5, known, load, settings_of

ROWS = 12
WORDS = [1, 7, 2, 12, 3, 1, 9, 5, 2, 8, 4, 6]
"""Of each row's answer."""
LORA = {"method": "lora", "lora": LoraSettings(r=4)}
MIXTRAL: dict[str, Any] = {
    **LLAMA, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "initializer_range": 0.2,
    "output_router_logits": True, "router_aux_loss_coef": 0.5,
}  # fmt: skip
BERT: dict[str, Any] = {
    "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": 64,
}  # fmt: skip


class Kind(NamedTuple):
    """A workload, and what its loss is a mean of."""

    settings: Settings
    workload: Workload
    unit: str
    amount: Callable[[dict[str, Any]], int]
    """How much of it a batch has."""


def learned(batch: dict[str, Any]) -> int:
    return int((batch["labels"] != -100).sum())


def predicted(batch: dict[str, Any]) -> int:
    return learned({"labels": batch["labels"][:, 1:]})


def rows_of(batch: dict[str, Any]) -> int:
    return len(next(iter(batch.values())))


def write_rows(path: Path) -> Path:
    """Two of them for each of the twelve, so that there are enough packs; `text` has both columns."""
    rows = [{"question": f"{i} + {i % 5} =", "answer": f"w{i} x" * n, "text": f"t{i} " * n} for i, n in
            enumerate([*WORDS, *WORDS])]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def of_text(folder: Path, architecture: dict[str, Any] | None, *, kind: str = "causal-lm", data: Any = None,
            model: Any = None, **steps: Any) -> Kind:  # fmt: skip
    """A kind of model that the program loads by itself."""
    file = write_rows(folder / "rows.jsonl")
    model = model or {"architecture": known({"initializer_range": 0.2, **architecture})} if architecture else model
    settings = settings_of(file, model={"kind": kind, **model}, data={"eval": str(file), **(data or {})}, **steps)
    workload = load(settings)
    seq2seq = kind == "seq2seq"
    return Kind(settings, workload, "tokens" if seq2seq else "next_tokens", learned if seq2seq else predicted)


REMOTE = '''
import torch
from transformers import LlamaConfig, LlamaForCausalLM


class Config(LlamaConfig):
    model_type = "own_llama"


class Model(LlamaForCausalLM):
    config_class = Config

    def forward(self, input_ids, attention_mask=None, labels=None, **kwargs):
        """Takes any keyword, num_items_in_batch too, and does nothing with it."""
        output = super().forward(input_ids=input_ids, attention_mask=attention_mask)
        if labels is not None:
            wanted = labels[:, 1:].reshape(-1)
            logits = output.logits[:, :-1].reshape(len(wanted), -1)
            output.loss = torch.nn.functional.cross_entropy(logits, wanted, ignore_index=-100)
        return output
'''


def remote_code(folder: Path) -> Kind:
    tokenizer = wrap_tokenizer(train_tokenizer(iter(["0 1 2 + = w x t"] * 20), 300))
    path = folder / "remote"
    architecture = {**LLAMA, "initializer_range": 0.2}
    model = build_architecture(ModelSettings(architecture=architecture), tokenizer, CPU, seed=1)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    (path / "own.py").write_text(dedent(REMOTE))
    config = json.loads((path / "config.json").read_text())
    config |= {"model_type": "own_llama", "architectures": ["Model"], "auto_map": {
        "AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}  # fmt: skip
    (path / "config.json").write_text(json.dumps(config))
    return of_text(folder, None, model={"path": str(path), "trust_remote_code": True})


def recipe(model: nn.Module, rows: list[Any], unit: str, amount: Callable[[dict[str, Any]], int],
           collator: Callable[[list[Any]], Any] = default_collate) -> Kind:  # fmt: skip
    """What the user's own build function returns."""
    settings = Settings(
        model=ModelSettings(kind="python", recipe="recipe.py:build"), train=TrainSettings(method="full")
    )
    workload = Workload(
        name="recipe", model=model, tokenizer=None, train_dataset=rows, eval_dataset=rows, collator=collator,
        lengths=None, facts=DataFacts(train_rows=len(rows)), padding="recipe",
    )  # fmt: skip
    return Kind(settings, workload, unit, amount)


def token_rows(vocabulary: int) -> list[dict[str, torch.Tensor]]:
    """`input_ids` of different lengths."""
    return [{"input_ids": (torch.arange(2 * n + 3) * (i + 2)) % vocabulary} for i, n in enumerate(WORDS)]


def pad_own(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """As somebody writes it: labels are the ids, -100 at padding."""
    ids = nn.utils.rnn.pad_sequence([row["input_ids"] for row in rows], batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row["input_ids"]) for row in rows], batch_first=True)
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def pad_without_labels(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in pad_own(rows).items() if name != "labels"}


class Tokens(nn.Module):
    """Predicts each token of its row; how the losses of tokens become one is its own."""

    def __init__(self, reduce: str) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(100, 16), nn.Linear(16, 100)
        self._reduce = reduce

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: Any) -> dict[str, torch.Tensor]:
        logits = self.head(self.embed(input_ids)) * 3
        each = nn.functional.cross_entropy(logits.transpose(1, 2), input_ids, reduction="none") * attention_mask
        of_row = each.sum(1) / attention_mask.sum(1)
        return {"loss": {"rows": of_row.mean(), "sum": each.sum(), "mask": each.sum() / attention_mask.sum()}[
            self._reduce]}  # fmt: skip


def attended(batch: dict[str, Any]) -> int:
    return int(batch["attention_mask"].sum())


def labelled(count: int) -> list[dict[str, torch.Tensor]]:
    return [{"input_ids": (torch.arange(8) * (i + 1)) % 100, "attention_mask": torch.ones(8, dtype=torch.long),
             "labels": torch.tensor(i % 3)} for i in range(count)]  # fmt: skip


def of_llama(folder: Path) -> Kind:
    model = LlamaForCausalLM(
        LlamaConfig(**{**LLAMA, "vocab_size": 100, "initializer_range": 0.2, "model_type": "llama"})
    )
    return recipe(model, token_rows(100), "next_tokens", predicted, pad_own)


KINDS: dict[str, Callable[[Path], Kind]] = {
    "causal": lambda folder: of_text(folder, LLAMA),
    "causal, every token learned": lambda folder: of_text(
        folder, LLAMA, data={"prompt": None, "response": None, "text": "text"}
    ),
    "causal, an adapter, recomputed": lambda folder: of_text(folder, LLAMA, gradient_checkpointing=True, **LORA),
    "packed": lambda folder: of_text(folder, LLAMA, data={"packing": True, "max_length": 32}),
    "T5": lambda folder: of_text(folder, T5, kind="seq2seq"),
    "BART, an adapter": lambda folder: of_text(folder, {**BART, "init_std": 0.3}, kind="seq2seq", **LORA),
    "remote code": remote_code,
    "recipe: classifier": lambda folder: recipe(
        BertForSequenceClassification(BertConfig(num_labels=3, initializer_range=0.3, **BERT)), labelled(ROWS),
        "tokens", rows_of,
    ),
    "recipe: masked language model": lambda folder: recipe(
        BertForMaskedLM(BertConfig(initializer_range=0.3, **BERT)), token_rows(100), "tokens", learned, pad_own
    ),
    "recipe: causal": of_llama,
    "recipe: a mean of rows": lambda folder: recipe(Tokens("rows"), token_rows(100), "rows", rows_of, pad_own),
    "recipe: a mean over the mask": lambda folder: recipe(
        Tokens("mask"), token_rows(100), "attended", attended, pad_without_labels
    ),
    "recipe: a sum": lambda folder: recipe(Tokens("sum"), token_rows(100), "whole", rows_of, pad_own),
}  # fmt: skip


def make(name: str, folder: Path) -> Kind:
    """A kind by its name, each time the same."""
    set_seed(5)
    return KINDS[name](folder)
