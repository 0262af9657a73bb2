"""The workload that a configuration describes. Importing this module loads neither torch nor transformers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import UsageError
from speedtui.engine.workload.base import DataFacts, Report, Workload

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from speedtui.engine.workload.data import Table
    from speedtui.engine.workload.token_store import TokenDataset

_NEEDED = ("torch", "transformers", "peft", "accelerate", "datasets")


def load_workload(settings: Settings, *, device: torch.device, report: Report) -> Workload:
    """Model, tokenizer and data, with the model on `device`; the data is read before the model is loaded.

    Raises:
        UsageError: the packages of the extra `train` are not installed.
        DataError, ModelError, RecipeError: what the configuration names cannot be used.
    """
    require_training_packages()
    from speedtui.engine.workload.quiet import quiet_libraries

    quiet_libraries()
    if settings.model.kind == "python":
        return _load_recipe(settings, device, report)
    return _load_causal_lm(settings, device, report)


def require_training_packages() -> None:
    """Refuses to go on without what training needs.

    Raises:
        UsageError: naming the package that is missing.
    """
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise UsageError(f"{package} is not installed", "pip install 'speedtui[train]'")


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
    )  # fmt: skip


def _load_causal_lm(settings: Settings, device: torch.device, report: Report) -> Workload:
    from speedtui.engine.workload.collate import PadRight
    from speedtui.engine.workload.conversation import require_chat_template
    from speedtui.engine.workload.data import table_of
    from speedtui.engine.workload.pretrained import check_vocabulary
    from speedtui.engine.workload.tokenize import tokenize

    model_settings, data = settings.model, settings.data
    table = table_of(data.train or "", data)
    tokenizer = _tokenizer(settings, table, report)
    if data.messages:
        require_chat_template(tokenizer, model_settings.tokenizer or model_settings.path or "model.architecture")
    trained = tokenize(table, tokenizer, data.max_length, report)
    evaluated = None
    if data.eval:
        evaluated = tokenize(table_of(data.eval, data, data.eval_rows), tokenizer, data.max_length, report)
    model = _model(settings, tokenizer, device, report)
    name = _name(settings)
    check_vocabulary(model, tokenizer, name)
    pad = tokenizer.pad_token_id
    return Workload(
        name=name,
        model=model,
        tokenizer=tokenizer,
        train_dataset=trained,
        eval_dataset=evaluated,
        collator=PadRight(0 if pad is None else int(pad)),
        lengths=trained.lengths,
        facts=_facts(trained, evaluated),
        padding="longest",
    )


def _tokenizer(settings: Settings, table: Table, report: Report) -> PreTrainedTokenizerBase:
    from speedtui.engine.workload.architecture import DEFAULT_VOCABULARY, check_model_type, tokenizer_for
    from speedtui.engine.workload.data import check_table
    from speedtui.engine.workload.pretrained import load_tokenizer

    architecture = settings.model.architecture
    if settings.model.tokenizer or not architecture:
        return load_tokenizer(settings.model)
    check_model_type(architecture["model_type"])
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


def _facts(trained: TokenDataset, evaluated: TokenDataset | None) -> DataFacts:
    counts = trained.counts
    return DataFacts(
        train_rows=counts.rows,
        eval_rows=None if evaluated is None else evaluated.counts.rows,
        longest_tokens=int(trained.lengths.max()),
        mean_tokens=counts.tokens / counts.rows,
        total_tokens=counts.tokens,
        cut_rows=counts.cut_rows,
        dropped_rows=counts.dropped_rows,
    )
