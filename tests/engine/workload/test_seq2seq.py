"""Encoder-decoders: sources and targets, and trainings of real tiny T5 and BART models."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from torch.utils.data import DataLoader
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from speedtui.engine.config.settings import DataSettings, LoraSettings, ModelSettings, Settings
from speedtui.engine.errors import DataError, ModelError
from speedtui.engine.workload.architecture import build_architecture
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.collate import PadPairs
from speedtui.engine.workload.data import table_of
from speedtui.engine.workload.model import attach_lora, detach_lora, set_gradient_checkpointing
from speedtui.engine.workload.pairs import PairDataset, marks, tokenize_pairs
from speedtui.engine.workload.probe_batch import longest_row, stress_dataset
from tests.engine.workload.conftest import WriteRows
from tests.engine.workload.small import BART, CPU, LLAMA, T5, changed, load, make_trainer, settings_of, tokens_of, train

END = "<|endoftext|>"
ARCHITECTURES = [T5, BART]
NAMES = ["t5", "bart"]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> dict[str, Path]:
    """A saved T5 and a saved BART with their tokenizers; T5's ends a text, BART's marks both ends."""
    made = {}
    for name, architecture in zip(NAMES, ARCHITECTURES, strict=True):
        tokenizer = AutoTokenizer.from_pretrained(model_folder)
        single = f"$A {END}" if name == "t5" else f"<|im_start|> $A {END}"
        specials = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<|im_start|>", END)]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=specials)
        settings = ModelSettings(architecture=architecture, kind="seq2seq")
        made[name] = tmp_path_factory.mktemp("models") / f"tiny-{name}"
        build_architecture(settings, tokenizer, CPU, seed=1).save_pretrained(made[name])
        tokenizer.save_pretrained(made[name])
    return made


@pytest.fixture(params=NAMES)
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def seq2seq(train_file: Path, *, path: Path | None = None, **rest: Any) -> Settings:
    model = {"path": str(path)} if path else {"architecture": rest.pop("architecture", T5)}
    return settings_of(train_file, model={"kind": "seq2seq", **model}, **rest)


def made(path: Path, tokenizer: Any, max_length: int = 64) -> PairDataset:
    table = table_of(str(path), DataSettings(prompt="question", response="answer"))
    return tokenize_pairs(table, tokenizer, max_length, silent)


def both(dataset: PairDataset, index: int, tokenizer: Any) -> tuple[str, str]:
    sample = dataset[index]
    return tokenizer.decode(sample["input_ids"]), tokenizer.decode(sample["labels"])


def test_prompts_are_sources_and_responses_targets(pairs_file: Path, folders: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folders["t5"])
    dataset = made(pairs_file, tokenizer)
    assert both(dataset, 1, tokenizer) == (f"the capital of France is{END}", f"Paris{END}")
    assert dataset.lengths.tolist() == [len(dataset[i]["input_ids"]) for i in range(3)]
    assert dataset.target_lengths.tolist() == [len(dataset[i]["labels"]) for i in range(3)]
    assert dataset.counts.tokens == int(dataset.lengths.sum() + dataset.target_lengths.sum())


def test_the_tokenizers_own_marks_are_around_both(pairs_file: Path, folders: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folders["bart"])
    assert both(made(pairs_file, tokenizer), 1, tokenizer) == (
        f"<|im_start|>the capital of France is{END}", f"<|im_start|>Paris{END}",
    )  # fmt: skip


def test_a_tokenizer_that_marks_no_end_gets_one(pairs_file: Path, model_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    assert marks(tokenizer, "text") == ([], [tokenizer.eos_token_id])
    assert both(made(pairs_file, tokenizer), 0, tokenizer) == (f"2 + 2 ={END}", f"4{END}")


def test_each_side_is_cut_for_itself_and_the_row_counted_once(write_rows: WriteRows, folders: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folders["t5"])
    long = {"question": "q" * 90, "answer": "z" * 90}
    rows = [long, {**long, "question": "q"}, {"question": "q", "answer": "a"}]
    dataset = made(write_rows("long.jsonl", rows), tokenizer, max_length=8)
    assert dataset.lengths.tolist() == [8, 2, 2]
    assert dataset.target_lengths.tolist() == [8, 8, 2]
    assert dataset.counts.cut_rows == 2
    source, target = both(dataset, 0, tokenizer)
    assert source.endswith(END)
    assert END not in target


def test_a_row_without_a_response_is_dropped_and_one_without_a_prompt_is_not(
    write_rows: WriteRows, folders: dict[str, Path]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folders["t5"])
    rows = [{"question": "q", "answer": ""}, {"question": "", "answer": "a"}, {"question": "q", "answer": None}]
    dataset = made(write_rows("gaps.jsonl", rows), tokenizer)
    assert (len(dataset), dataset.counts.dropped_rows) == (1, 2)
    assert both(dataset, 0, tokenizer) == (END, f"a{END}")
    with pytest.raises(DataError, match="nothing to learn from in any of its 1 rows"):
        made(write_rows("empty.jsonl", rows[:1]), tokenizer)


def test_pairs_are_kept_apart_from_other_tokens_of_the_same_file(
    pairs_file: Path, folders: dict[str, Path], own_cache: Path
) -> None:
    for wanted in (seq2seq(pairs_file, path=folders["t5"]), seq2seq(pairs_file, path=folders["t5"])):
        load(wanted)
    assert len(list((own_cache / "speedtui" / "tokens").iterdir())) == 1
    load(settings_of(pairs_file, model={"architecture": LLAMA, "tokenizer": str(folders["t5"])}))
    assert len(list((own_cache / "speedtui" / "tokens").iterdir())) == 2


def test_sources_and_targets_are_padded_each_to_their_own_longest() -> None:
    samples = [
        {"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor([7])},
        {"input_ids": torch.tensor([4]), "labels": torch.tensor([8, 9])},
    ]
    batch = pickle.loads(pickle.dumps(PadPairs(0)))(samples)
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[7, -100], [8, 9]]
    assert tokens_of(batch) == (7, 3)


def test_a_saved_model_tells_its_facts(pairs_file: Path, folder: Path) -> None:
    workload = load(changed(seq2seq(pairs_file, path=folder), "data", eval=str(pairs_file)))
    lengths, targets = workload.lengths, workload.target_lengths
    assert lengths is not None and targets is not None and workload.row_tokens is not None
    assert workload.name == folder.name
    assert workload.facts.longest_tokens == lengths.max()
    assert workload.facts.longest_target_tokens == targets.max()
    assert workload.facts.total_tokens == workload.row_tokens.sum() == lengths.sum() + targets.sum()
    assert workload.facts.mean_tokens == workload.facts.total_tokens / 3
    assert workload.facts.mean_target_tokens == targets.mean()
    assert workload.facts.longest_side == max(lengths.max(), targets.max())
    assert workload.facts.stressed_tokens == lengths.max() + targets.max()
    assert workload.facts.eval_rows == 3
    assert longest_row(workload) == int((lengths + targets).argmax())
    batch = next(iter(DataLoader(workload.train_dataset, batch_size=3, collate_fn=workload.collator)))  # type: ignore[arg-type]
    assert workload.model(**batch).loss.isfinite()
    assert workload.model.training


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=NAMES)
def test_an_architecture_alone_gets_a_tokenizer_and_its_special_ids(
    pairs_file: Path, architecture: dict[str, Any]
) -> None:
    workload = load(seq2seq(pairs_file, architecture=architecture))
    config: Any = workload.model.config
    assert workload.tokenizer is not None
    assert config.vocab_size == len(workload.tokenizer)
    assert config.decoder_start_token_id == config.pad_token_id == workload.tokenizer.pad_token_id
    assert config.eos_token_id == workload.tokenizer.eos_token_id
    batch = workload.collator([workload.train_dataset[i] for i in range(3)])
    assert workload.model(**batch).loss.isfinite()


def test_a_model_whose_config_names_no_start_begins_with_its_pad_token(
    pairs_file: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(folders["t5"])
    model.config.decoder_start_token_id = None
    model.save_pretrained(tmp_path / "startless")
    AutoTokenizer.from_pretrained(folders["t5"]).save_pretrained(tmp_path / "startless")
    workload = load(seq2seq(pairs_file, path=tmp_path / "startless"))
    config: Any = workload.model.config
    assert config.decoder_start_token_id == config.pad_token_id
    assert workload.model(**workload.collator([workload.train_dataset[0]])).loss.isfinite()


def test_padding_is_foretold_as_the_collator_makes_it(write_rows: WriteRows, folders: dict[str, Path]) -> None:
    rows = [{"question": "q" * (i * 5 % 17 + 1), "answer": "a b" * (i * 3 % 11 + 1)} for i in range(12)]
    workload = load(seq2seq(write_rows("rows.jsonl", rows), path=folders["t5"]))
    batches = np.random.default_rng(0).permutation(12).reshape(4, 3)
    tokens, padded = workload.tokens(batches), workload.padded_tokens(batches)
    assert tokens.shape == padded.shape == (4,)
    assert padded.dtype == np.float64
    for batch, expected in zip(batches, zip(tokens, padded - tokens, strict=True), strict=True):
        assert tokens_of(workload.collator([workload.train_dataset[int(i)] for i in batch])) == expected


@pytest.mark.parametrize("micro", [1, 4])
def test_the_stress_batch_joins_the_longest_source_with_the_longest_target(
    write_rows: WriteRows, folders: dict[str, Path], micro: int
) -> None:
    short = {"question": "q", "answer": "a"}
    rows = [{**short, "question": "q" * 30}, {**short, "answer": "z" * 20}, short]
    workload = load(seq2seq(write_rows("rows.jsonl", rows), path=folders["t5"]))
    assert workload.lengths is not None and workload.target_lengths is not None
    source, target = int(workload.lengths.max()), int(workload.target_lengths.max())
    assert workload.lengths.argmax() != workload.target_lengths.argmax()
    stress = stress_dataset(workload, micro, 2)
    batches = list(DataLoader(stress, batch_size=micro, collate_fn=workload.collator))  # type: ignore[arg-type]
    assert len(batches) == 2
    for batch in batches:
        assert (batch["input_ids"].shape, batch["labels"].shape) == ((micro, source), (micro, target))
        assert (batch["attention_mask"] == 0).sum() == (batch["labels"] == -100).sum() == (micro > 1)
        assert workload.model(**batch).loss.isfinite()


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_loss_falls_and_the_saved_model_has_learned(
    pairs_file: Path, folder: Path, tmp_path: Path, method: str, checkpointing: bool
) -> None:
    settings = seq2seq(pairs_file, path=folder, method=method, gradient_checkpointing=checkpointing, max_steps=25,
                       effective_batch_size=4, micro_batch_size=2, learning_rate=2e-2)  # fmt: skip
    settings = changed(settings, "data", eval=str(pairs_file))
    workload = load(settings)
    trainer = make_trainer(settings, workload, tmp_path / "out")
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    assert after < before - 0.3
    assert trainer.model is not None and trainer.model.config.use_cache is False
    if method == "lora":
        assert type(trainer.model).__name__ == "PeftModelForSeq2SeqLM"
        return
    trainer.save_model(str(tmp_path / "model"))
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model").eval()
    batch = workload.collator([workload.train_dataset[i] for i in range(3)])
    with torch.no_grad():
        loss = again(**batch).loss.item()
    assert math.isfinite(loss) and loss < before - 0.5


def test_an_effective_batch_is_the_same_however_it_is_accumulated(
    write_rows: WriteRows, folder: Path, tmp_path: Path
) -> None:
    """Also where micro-batches have targets of very different lengths."""
    rows = [{"question": "q" * n, "answer": "a b" * (12 if n % 2 else 1)} for n in range(4)]
    path = write_rows("rows.jsonl", rows)
    losses, weights = [], []
    for micro in (1, 2, 4):
        settings = seq2seq(path, path=folder, max_steps=1, effective_batch_size=4, micro_batch_size=micro,
                           optimizer="sgd", learning_rate=1.0, max_grad_norm=0.0)  # fmt: skip
        workload = load(settings)
        trainer = make_trainer(settings, workload, tmp_path)
        trainer.train()
        losses.append(sum(trainer.losses))
        weights.append(torch.cat([p.detach().reshape(-1) for p in workload.model.parameters()]))
    assert losses[1:] == pytest.approx(losses[:1] * 2, rel=1e-5)
    for other in weights[1:]:
        torch.testing.assert_close(other, weights[0], rtol=1e-4, atol=1e-5)


def test_an_adapter_reaches_encoder_and_decoder_and_comes_off(folder: Path) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adapted = attach_lora(model, LoraSettings(r=2))
    set_gradient_checkpointing(adapted, True)
    ids = torch.tensor([[5, 6, 7]])
    adapted(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
    moved = [name for name, p in adapted.named_parameters() if p.grad is not None and p.grad.any()]
    assert any("encoder" in name for name in moved) and any("decoder" in name for name in moved)
    set_gradient_checkpointing(adapted, False)
    base = detach_lora(adapted)
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.state_dict().items())
    assert not any(module._forward_hooks for module in base.modules())


def test_one_row_trains_with_an_effective_batch_larger_than_the_data(
    write_rows: WriteRows, folders: dict[str, Path], tmp_path: Path
) -> None:
    path = write_rows("one.jsonl", [{"question": "q", "answer": "a"}])
    for grouped in (False, True):
        settings = seq2seq(path, path=folders["t5"], max_steps=2, effective_batch_size=8, micro_batch_size=4,
                           group_by_length=grouped)  # fmt: skip
        trainer = train(settings, tmp_path)
        assert [batch["input_ids"].shape[0] for batch in trainer.batches] == [1, 1]


def test_an_encoder_decoder_is_no_causal_model(pairs_file: Path, folder: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(settings_of(pairs_file, model={"path": str(folder)}))
    name = folder.name.removeprefix("tiny-")
    assert caught.value.message == (
        f'model.path {folder.name}: {name} is an encoder-decoder, which model.kind "causal-lm" cannot train'
    )
    assert 'model.kind = "seq2seq"' in caught.value.hint
    with pytest.raises(ModelError, match=r"model\.architecture: t5 is an encoder-decoder"):
        load(settings_of(pairs_file, model={"architecture": T5}))


def test_a_decoder_alone_is_no_seq2seq_model(pairs_file: Path, model_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.path tiny-llama: llama is no encoder-decoder") as caught:
        load(seq2seq(pairs_file, path=model_folder))
    assert 'model.kind = "causal-lm"' in caught.value.hint
    with pytest.raises(ModelError, match=r"model\.architecture: llama is no encoder-decoder"):
        load(seq2seq(pairs_file, architecture=LLAMA))


def test_the_wrong_kind_is_said_before_the_data_is_tokenized(
    pairs_file: Path, folders: dict[str, Path], own_cache: Path
) -> None:
    with pytest.raises(ModelError, match="encoder-decoder"):
        load(settings_of(pairs_file, model={"path": str(folders["t5"])}))
    assert not (own_cache / "speedtui" / "tokens").exists()


def test_a_tokenizer_without_any_pad_token_is_refused(
    pairs_file: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(folders["t5"])
    model.config.decoder_start_token_id = model.config.pad_token_id = None
    model.save_pretrained(tmp_path / "padless")
    AutoTokenizer.from_pretrained(folders["t5"]).save_pretrained(tmp_path / "padless")
    file = tmp_path / "padless" / "tokenizer_config.json"
    kept = {key: value for key, value in json.loads(file.read_text()).items() if key not in ("pad_token", "eos_token")}
    file.write_text(json.dumps(kept))
    with pytest.raises(ModelError, match="neither the model nor the tokenizer has a pad token"):
        load(seq2seq(pairs_file, path=tmp_path / "padless"))
