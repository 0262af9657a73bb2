"""The workload that a configuration describes. Importing this module loads neither torch nor transformers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from speedtui.engine.config.settings import Settings
from speedtui.engine.workload.base import DataFacts, Report, Workload
from speedtui.engine.workload.packages import require_training_packages

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from speedtui.engine.workload.data import DataTable


def load_workload(settings: Settings, *, device: torch.device, report: Report) -> Workload:
    """Model, tokenizer and data, with the model on `device`; the data is read before the model is loaded.

    Raises:
        UsageError: the packages of the extra `train` are not installed or too old, or those of `quantize` where
            it is asked for.
        DataError, ModelError, RecipeError: what the configuration names cannot be used.
        ConfigError: `data.packing` with a model that would mix the samples of a pack.
    """
    require_training_packages(settings.model)
    from speedtui.engine.workload.imports import quiet_libraries

    quiet_libraries()
    if settings.model.kind == "python":
        return _load_recipe(settings, device, report)
    return _load_language_model(settings, device, report)


def _load_recipe(settings: Settings, device: torch.device, report: Report) -> Workload:
    from transformers import set_seed

    from speedtui.engine.workload.recipe import build_recipe

    report("building the recipe", 0, None)
    set_seed(settings.train.seed)  # random weights are the same in every trial
    recipe = build_recipe(settings)
    if recipe.collator is None:  # never: build_recipe fills it in
        raise AssertionError("a built recipe has a collator")
    evaluated = recipe.eval_dataset
    file, _, function = (settings.model.recipe or "").rpartition(":")
    return Workload(
        name=f"{Path(file).name}:{function}",
        model=recipe.model.to(device).train(),
        tokenizer=recipe.tokenizer,
        train_dataset=recipe.train_dataset,
        eval_dataset=evaluated,
        collator=recipe.collator,
        lengths=None,
        facts=DataFacts(
            train_rows=len(recipe.train_dataset), eval_rows=None if evaluated is None else len(evaluated)
        ),
        padding="recipe",
        generate=recipe.generate,
        references=recipe.references,
        rows=recipe.rows,
    )  # fmt: skip


def load_data(settings: Settings, report: Report) -> Workload:
    """The data alone: the model in the workload is empty, and nothing can be trained with it.

    Raises:
        UsageError, DataError, ModelError, RecipeError: as `load_workload`, as far as data and tokenizer go.
    """
    require_training_packages(settings.model)
    import torch

    from speedtui.engine.workload.imports import quiet_libraries

    quiet_libraries()
    if settings.model.kind == "python":
        return _load_recipe(settings, torch.device("cpu"), report)
    from speedtui.engine.workload.samples import make_samples, training_table

    tokenizer = _tokenizer(settings, training_table(settings), report)
    _check_messages(settings, tokenizer)
    samples = make_samples(settings, tokenizer, report)
    return Workload(name=_name(settings), model=torch.nn.Module(), tokenizer=tokenizer, padding="longest", **samples)


def reload_data(workload: Workload, settings: Settings, report: Report) -> Workload:
    """The same model and tokenizer with the data of other settings; the workload given is left as it was.

    For settings of which `rebuild_needed` says no and `data_differs` yes, see `engine.workload.recipe`. A recipe has
    its data from its build function and is returned as it is.

    Raises:
        DataError, ConfigError: what the configuration names cannot be used.
    """
    if settings.model.kind == "python" or workload.tokenizer is None:
        return workload
    from speedtui.engine.workload.samples import make_samples

    _check_messages(settings, workload.tokenizer)
    renewed = dataclasses.replace(workload, **make_samples(settings, workload.tokenizer, report))
    _check_packing(renewed, settings)
    return renewed


def with_model(data: Workload, loaded: Workload, settings: Settings) -> Workload:
    """A workload of data that was made without a model, and the model of another.

    Raises:
        ConfigError: the data is packed, and the model would mix the samples of a pack.
    """
    whole = dataclasses.replace(data, model=loaded.model, generate=loaded.generate)
    _check_packing(whole, settings)
    return whole


def _load_language_model(settings: Settings, device: torch.device, report: Report) -> Workload:
    from speedtui.engine.workload.pretrained import check_vocabulary, complete_config, require_kind
    from speedtui.engine.workload.samples import make_samples, training_table

    tokenizer = _tokenizer(settings, training_table(settings), report)
    require_kind(settings.model)
    _check_messages(settings, tokenizer)
    samples = make_samples(settings, tokenizer, report)
    model = _model(settings, tokenizer, device, report)
    name = _name(settings)
    check_vocabulary(model, tokenizer, name)
    if settings.model.kind == "seq2seq":
        complete_config(model, tokenizer, name)
    workload = Workload(name=name, model=model, tokenizer=tokenizer, padding="longest", **samples)
    _check_packing(workload, settings)
    return workload


def _check_messages(settings: Settings, tokenizer: PreTrainedTokenizerBase) -> None:
    from speedtui.engine.workload.conversation import require_chat_template

    if settings.data.chat:
        require_chat_template(tokenizer, settings.model.tokenizer or settings.model.path or "model.architecture")


def _check_packing(workload: Workload, settings: Settings) -> None:
    if not workload.packed or next(workload.model.parameters(), None) is None:  # without a model nothing is mixed
        return
    from speedtui.engine.workload.model import set_attention
    from speedtui.engine.workload.packed import require_isolation
    from speedtui.engine.workload.precision import autocast_dtype

    set_attention(workload.model, settings.model.attention)  # what is proved of one is not proved of another
    require_isolation(workload.model, workload.name, autocast_dtype(settings.train))


def _tokenizer(settings: Settings, table: DataTable, report: Report) -> PreTrainedTokenizerBase:
    from speedtui.engine.workload.architecture import DEFAULT_VOCABULARY, architecture_config, tokenizer_for
    from speedtui.engine.workload.data import check_table
    from speedtui.engine.workload.pretrained import load_tokenizer

    architecture = settings.model.architecture
    if architecture:  # before anything is slow
        architecture_config(settings.model, {})
    if settings.model.tokenizer or not architecture:
        return load_tokenizer(settings.model)
    if not table.path.exists():
        check_table(table, report)  # raises
    return tokenizer_for(table, int(architecture.get("vocab_size", DEFAULT_VOCABULARY)), report)


def _model(
    settings: Settings, tokenizer: PreTrainedTokenizerBase, device: torch.device, report: Report
) -> PreTrainedModel:
    from speedtui.engine.workload.architecture import build_architecture
    from speedtui.engine.workload.pretrained import load_pretrained

    report(f"loading {_name(settings)}", 0, None)
    if settings.model.architecture:
        return build_architecture(settings.model, tokenizer, device, settings.train.seed)
    return load_pretrained(settings.model, device)


def _name(settings: Settings) -> str:
    """The last part of the path or hub id; of an architecture, its type."""
    model = settings.model
    if model.architecture:
        return f"{model.architecture['model_type']} (random weights)"
    return Path(model.path or "").name
