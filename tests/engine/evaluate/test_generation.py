"""What real tiny models answer in the middle of a training, and that it leaves no trace."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from speedtui.engine.config.settings import LoraSettings, Settings
from speedtui.engine.evaluate.answers import chat_frame
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload.model import set_gradient_checkpointing
from tests.engine.evaluate.conftest import QUESTIONS, write_rows
from tests.engine.workload.small import BART, LLAMA, T5, changed, load

GPT2: dict[str, Any] = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
WIDE = {"initializer_range": 0.4, "tie_word_embeddings": False}
"""Weights so far apart that different questions get different answers."""
MODELS = {
    "t5": {**T5, "tie_word_embeddings": False},
    "bart": {**BART, "init_std": 1.0, "tie_word_embeddings": False},
    "llama": {**LLAMA, **WIDE},
    "gpt2": {**GPT2, **WIDE},
}

Asked = Callable[..., Settings]
Make = Callable[..., Any]


@pytest.fixture(params=MODELS)
def architecture(request: pytest.FixtureRequest) -> dict[str, Any]:
    return MODELS[request.param]


def state_of(model: Any) -> dict[str, Any]:
    """All that generation could leave changed."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return {
        "training": [module.training for module in model.modules()],
        "recomputing": [getattr(module, "gradient_checkpointing", None) for module in base.modules()],
        "use_cache": base.config.use_cache,
        "generation_config": base.generation_config.to_dict(),
        "config": id(base.generation_config),
        "hooks": [len(module._forward_hooks) for module in model.modules()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "random": torch.get_rng_state().tolist(),
    }


@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_gives_what_each_sample_gives_alone(
    architecture: dict[str, Any], beams: int, asked: Asked, made: Make
) -> None:
    settings = asked(architecture, schedule={"beams": beams, "generation_batch_size": 6})
    workload = load(settings)
    together = made(settings, workload).texts()
    alone = made(changed(settings, "schedule", generation_batch_size=1), workload).texts()
    assert together == alone
    assert len(set(together)) > 1, "all answers are the same: padding could not have shown"


def test_it_is_what_the_model_itself_generates(asked: Asked, made: Make) -> None:
    settings = asked(LLAMA, schedule={"beams": 2})
    workload = load(settings)
    model: Any = workload.model.eval()
    tokenizer: Any = workload.tokenizer
    ids = tokenizer("why\n", return_tensors="pt")["input_ids"]
    written = model.generate(ids, num_beams=2, do_sample=False, max_new_tokens=8, use_cache=True)
    expected = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
    model.train()
    assert made(settings, workload).texts()[4] == expected


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_training_goes_on_as_it_was(architecture: dict[str, Any], method: str, asked: Asked, made: Make) -> None:
    settings = asked(architecture, schedule={}, method=method, gradient_checkpointing=True)
    workload = load(settings)
    trained: Any = make_trainable(workload.model, settings)
    workload.model.config.use_cache = False  # as the Trainer has it
    frozen = next(module for module in trained.modules() if isinstance(module, torch.nn.Embedding)).eval()
    before = state_of(trained)
    assert True in before["recomputing"]
    evaluator = made(settings, workload).evaluator
    evaluator.score(trained, settings.schedule)
    assert state_of(trained) == before
    assert not frozen.training
    loss = trained(**workload.collator([workload.train_dataset[0]])).loss
    loss.backward()
    assert any(parameter.grad is not None for parameter in trained.parameters())


def test_an_adapter_has_its_part_in_the_answers(asked: Asked, made: Make) -> None:
    settings = asked(LLAMA, schedule={}, method="lora", lora=LoraSettings(r=4))
    workload = load(settings)
    bare = made(settings, workload).texts()
    trained: Any = make_trainable(workload.model, settings)
    evaluator = made(settings, workload).evaluator
    rows = range(6)
    assert evaluator._generation.texts(trained, settings.schedule, rows) == bare  # an adapter begins with nothing
    with torch.no_grad():
        for name, parameter in trained.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    assert evaluator._generation.texts(trained, settings.schedule, rows) != bare


def test_it_works_with_autocast(asked: Asked, made: Make) -> None:
    settings = asked(T5, schedule={"beams": 2}, bf16=True)
    assert len(made(settings, load(settings)).texts()) == 6


def test_what_interrupts_it_leaves_the_model_as_it_was(asked: Asked, made: Make) -> None:
    class Stopped(Exception):
        pass

    looks: list[int] = []

    def report(what: str, done: int, total: int | None) -> None:
        looks.append(done)
        if done == 2 and looks.count(2) == 3:  # in the middle of the second batch
            raise Stopped

    settings = asked(BART, schedule={"generation_batch_size": 2})
    workload = load(settings)
    set_gradient_checkpointing(workload.model, True)
    before = state_of(workload.model)
    one = made(settings, workload, report)
    with pytest.raises(Stopped):
        one.score()
    assert state_of(workload.model) == before
    assert one.score().samples == 6


def test_too_large_a_batch_is_halved_and_said(asked: Asked, made: Make) -> None:
    """The model refuses more than one row as torch's allocator does; more cannot be had without a small device."""
    settings = asked(LLAMA, schedule={"generation_batch_size": 4})
    workload = load(settings)
    expected = made(settings, workload).texts()
    embeddings: Any = workload.model.get_input_embeddings()
    sizes: list[int] = []

    def refuse(module: Any, inputs: Any) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    handle = embeddings.register_forward_pre_hook(refuse)
    one = made(settings, workload)
    assert one.texts() == expected
    assert one.notices == [
        "generating for 4 samples at a time ran out of memory; it goes on with 2",
        "generating for 2 samples at a time ran out of memory; it goes on with 1",
    ]
    sizes.clear()
    assert one.texts() == expected  # and it is not tried again
    assert set(sizes) == {1}
    assert one.texts(generation_batch_size=2) == expected  # as it is when somebody asks for another size
    assert one.notices[2:] == ["generating for 2 samples at a time ran out of memory; it goes on with 1"]
    handle.remove()


def test_a_models_own_sampling_flags_are_no_matter_and_no_warning(
    asked: Asked, made: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = asked(LLAMA, schedule={})
    workload = load(settings)
    plain = made(settings, workload).texts()
    config: Any = workload.model.generation_config
    config.do_sample, config.temperature, config.top_p, config.top_k = True, 0.6, 0.9, 20
    config.length_penalty, config.early_stopping, config.max_length, config.min_length = 2.0, True, 20, 40
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert made(settings, workload).texts() == plain
    assert warned == []
    assert "".join(capfd.readouterr()) == ""
    assert (config.temperature, config.max_length, config.length_penalty) == (0.6, 20, 2.0)


def test_an_answer_ends_where_the_model_ends_it(asked: Asked, made: Make) -> None:
    settings = asked(LLAMA, schedule={"max_new_tokens": 20})
    workload = load(settings)
    tokenizer: Any = workload.tokenizer
    model: Any = workload.model
    ids = tokenizer(f"{QUESTIONS[0]}\n", return_tensors="pt")["input_ids"]
    answer = model.eval().generate(ids, do_sample=False, max_new_tokens=20)[0, ids.shape[1] :].tolist()
    end = next(place for place, token in enumerate(answer) if place and token not in answer[:place])
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, answer[end]]
    assert made(settings, workload).texts()[0] == tokenizer.decode(answer[:end])


def test_a_conversation_is_answered_where_the_assistant_begins(asked: Asked, made: Make, tmp_path: Any) -> None:
    talk = [{"role": "user", "content": "why"}, {"role": "assistant", "content": "because"}]
    rows = write_rows(tmp_path / "talks.jsonl", [{"messages": [*talk, *talk]}, {"messages": talk[::-1] + talk[1:]}])
    settings = asked(LLAMA, rows=rows, schedule={}, data={"prompt": None, "response": None, "messages": "messages"})
    workload = load(settings)
    one = made(settings, workload)
    tokenizer: Any = workload.tokenizer
    prompts = one.evaluator._generation._prompts
    asked_first, asked_second = (
        tokenizer.decode(prompts.batch([row], 0)["input_ids"][0]) for row in (0, 1)
    )  # fmt: skip
    assert asked_first == "<|im_start|>user\nwhy<|im_end|>\n<|im_start|>assistant\n"
    assert asked_second.endswith("<|im_start|>user\nwhy<|im_end|>\n<|im_start|>assistant\n")
    assert asked_second.startswith("<|im_start|>assistant\nbecause")
    ends = chat_frame(tokenizer).ends
    assert [tokenizer.convert_ids_to_tokens(list(end)) for end in ends] == [["<|endoftext|>"], ["<|im_end|>"]]


def test_no_more_is_generated_than_the_model_has_places_for(asked: Asked, made: Make) -> None:
    settings = asked({**GPT2, "n_positions": 24}, schedule={"max_new_tokens": 60}, data={"max_length": 24})
    one = made(settings, load(settings))
    assert len(one.texts()) == 6
    (notice,) = one.notices
    assert "the model knows 24 places" in notice


def test_its_time_is_billed_to_generate(asked: Asked, made: Make) -> None:
    settings = asked(T5, schedule={})
    one = made(settings, load(settings))
    with one.phases.phase("eval"):
        scores = one.score(rows=[0, 3])
    books = one.phases.books().phases
    assert scores.samples == 2
    assert scores.generate_seconds == pytest.approx(books["generate"], abs=1e-3)
    assert "metric" not in books
    assert scores.metrics == {}


def test_without_generate_nothing_is_done(asked: Asked, made: Make) -> None:
    settings = asked(T5, schedule={"generate": False})
    one = made(settings, load(settings))
    one.evaluator.prepare()
    assert one.score().samples == 0
    assert isinstance(one.evaluator, Evaluator)


def test_prompts_are_answered_that_leave_no_room_for_a_right_answer(asked: Asked, made: Make, tmp_path: Path) -> None:
    """Of 64 places: a prompt over data.max_length is read; one over the places gets an empty answer, and it is told."""
    questions = ["why", "say hello " * 12, "a b c", "say hello " * 60]
    file = write_rows(tmp_path / "long.jsonl", [{"question": text, "answer": "yes"} for text in questions])
    settings = asked({**GPT2, **WIDE}, rows=file, data={"max_length": 16}, schedule={})
    workload = load(settings)
    assert workload.eval_dataset is not None and len(workload.eval_dataset) == 2
    assert workload.questions is not None and len(workload.questions) == 4
    evaluator = made(settings, workload)
    scores = evaluator.score()
    assert (scores.samples, scores.unanswered) == (4, 1)
    assert [text for text in evaluator.notices if "1 of 4 prompts are longer than the 64 places" in text]
    texts = evaluator.texts()
    assert texts[3] == "" and "" not in texts[:3]
    assert (evaluator.score([0, 1]).samples, evaluator.score([0, 1]).unanswered) == (2, 0)
    wide = made(changed(settings, "data", max_length=64), load(changed(settings, "data", max_length=64)))
    assert wide.texts()[:3] == texts[:3]
