"""Every setting of speedtui.toml, with its unit and default."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

ModelKind = Literal["causal-lm", "seq2seq", "python"]
Dtype = Literal["float32", "bfloat16", "float16"]
Quantize = Literal["none", "nf4", "int8"]
Attention = Literal["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3"]
Format = Literal["alpaca", "sharegpt", "chatml", "prompt-completion"]
Method = Literal["lora", "full"]
SearchMode = Literal["minimal", "quick", "thorough", "auto"]
Numerics = Literal["same", "may change"]
Optimizer = Literal["adamw_torch_fused", "adamw_torch", "adafactor", "sgd", "adamw_bnb_8bit", "paged_adamw_8bit"]
LearningRateSchedule = Literal["cosine", "linear", "constant"]
OnNonFinite = Literal["stop", "go_back", "continue"]
Tracker = Literal["tensorboard", "wandb", "trackio"]
AlertKind = Literal["ended", "failed", "stalled", "late", "on_track", "non_finite", "lost"]
Scalar = bool | int | float | str


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of speedtui.toml."""


class ModelSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[model]: what is trained."""

    path: str | None = None
    """Folder or hub id for `from_pretrained`."""
    architecture: dict[str, Any] | None = None
    """Instead of `path`: `model_type` and the fields of its config; weights are random."""
    tokenizer: str | None = None
    """Folder or hub id; default `path`. With an architecture alone, one is trained on the data."""
    kind: ModelKind = "causal-lm"
    recipe: str | None = None
    """For kind "python": `file.py:function`."""
    dtype: Dtype = "float32"
    quantize: Quantize = "none"
    """How the base model's linear layers are held while adapters are trained, by bitsandbytes: `nf4` in 4 bits, with
    their scales in 8 (double quantization, arXiv:2305.14314); `int8` in 8 bits (LLM.int8, arXiv:2208.07339). The output
    layer and what is no linear layer are float32 then."""
    attention: Attention = "auto"
    """`auto`: sdpa where the model supports it, else eager."""
    trust_remote_code: bool = False
    start_from: str | None = None
    """The `model` folder of an earlier run: its adapter or weights are what this training begins with."""


class DataSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[data]: what it is trained on."""

    train: str | None = None
    """JSON lines, a JSON list, CSV or TSV, each also as .gz or .zst, Parquet, or a folder written by `save_to_disk`."""
    eval: str | None = None
    """A file of the same columns to evaluate on."""
    validation_share: float | None = None
    """Instead of `eval`: this share of the training rows, such as 0.05, is held out and evaluated on. Which ones is
    decided by `train.seed` and the number of rows, the same in every trial and run."""
    format: Format | None = None
    """Columns by the name of a common layout, instead of naming them: `engine.config.formats.MEANINGS`."""
    prompt: str | list[str] | None = None
    """A column, or several: those of a row that are not empty are joined with a blank line."""
    prompt_template: str | None = None
    """Instead of `prompt`: `"{context}\n\nQuestion: {question}"`; braces are written twice, as in `str.format`."""
    response: str | None = None
    text: str | None = None
    messages: str | None = None
    tools: str | None = None
    """The column with the tools of a conversation; by default a column `tools`, where there is one."""
    fold_system: bool = False
    """A conversation's system message becomes the beginning of its first user message."""
    max_length: int = 1024
    """Tokens; a longer sample is cut at its end, and how many were cut is said."""
    eval_rows: int | None = None
    """Evaluate on the first rows only; None takes them all."""
    packing: bool = False
    """Whole samples are laid end to end into sequences of max_length; a sequence is then a pack."""

    @property
    def evaluates(self) -> bool:
        """There is something to evaluate on; a recipe has its own."""
        return bool(self.eval or self.validation_share)

    @property
    def chat(self) -> bool:
        """Rows are conversations."""
        return bool(self.messages) or self.format in ("sharegpt", "chatml")


class LoraSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[train.lora]: the adapter."""

    r: int = 16
    alpha: int | None = None
    """Default 2 r."""
    dropout: float = 0.0
    target_modules: list[str] | Literal["all-linear"] = "all-linear"


class TrainSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[train]: how it is trained."""

    epochs: float = 3.0
    max_steps: int | None = None
    """Optimizer steps; overrides `epochs`."""
    effective_batch_size: int = 16
    """Sequences an optimizer step sees; never changed silently."""
    micro_batch_size: int = 1
    """Sequences in one forward and backward; accumulation follows from it."""
    learning_rate: float = 2e-4
    lr_schedule: LearningRateSchedule = "cosine"
    lr_warmup_steps: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    method: Method = "lora"
    lora: LoraSettings = LoraSettings()
    gradient_checkpointing: bool = False
    bf16: bool = False
    """Autocast to bfloat16 over weights of `model.dtype`."""
    fp16: bool = False
    """Instead: autocast to float16, whose gradients a scaler keeps in its range; on a GPU alone."""
    tf32: bool = False
    """Products of float32 matrices by TF32, which reads 10 bits of a mantissa and adds up in float32; NVIDIA's devices
    from Ampere on. Off, they are computed in float32, and convolutions as torch has them, which is TF32."""
    liger: bool = False
    """The layers' kernels from the package liger-kernel, for the models that it knows; on a GPU alone."""
    optimizer: Optimizer = "adamw_torch_fused"
    loader_workers: int = 0
    group_by_length: bool = False
    """Micro-batches of samples of about the same length: less padding, an order that is less random."""
    compile: bool = False
    seed: int = 42


class WindowSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[window]: the time there is."""

    length: str | None = None
    deadline: str | None = None
    margin: str = "0s"


class ScheduleSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[schedule]: what happens besides training steps."""

    eval_every: str = "1 epoch"
    """A full evaluation: loss, and generation and the metric where they are set. `200 steps`, `1 epoch`, `20m` or
    `never`; the last step is evaluated too."""
    fast_eval_every: str = "never"
    """The loss alone, in between."""
    eval_share: float | None = None
    """Most of the run's time for full evaluations, such as 0.05; one that is due and would take more is left out."""
    eval_batch_size: int | None = None
    """Rows whose loss is computed at a time; None: what should fit by what training takes, halved where it does not."""
    check_evaluation: bool = True
    """The loss of two batches and the answers of one before the first step: what fails then fails now."""
    generate: bool = False
    """Full evaluations write what the model answers."""
    beams: int = 1
    """Of the search that generates; 1 takes the likeliest token each time."""
    max_new_tokens: int = 128
    generation_batch_size: int | None = None
    """Rows that are answered at a time; None as for `eval_batch_size`."""
    metric: str | None = None
    """`metric.py:function` that scores what was generated; an empty text is none."""
    metric_threads: int = 8
    """Samples scored at the same time."""
    metric_timeout: str = "60s"
    """For all samples of an evaluation; what has no score by then counts as 0, and how many is said."""
    best_by: str = "loss"
    """What `patience` and `save_only_best` look at: `loss`, the lower the better, or the name of a metric, the higher
    the better."""
    patience: int | None = None
    """Evaluations in a row without a better one, after which the training ends; None goes to the last step."""
    save_only_best: bool = False
    """A checkpoint when an evaluation is the best so far instead of every so many steps; the model that is left is
    the best one. A `checkpoint_every` by the clock stays, as a way back after an interruption."""
    checkpoint_every: str = "30m"
    """`500 steps`, `1 epoch`, `30m` or `never`."""
    keep_checkpoints: int = 3
    """The newest ones; the best one is kept besides."""
    on_nonfinite: OnNonFinite = "stop"
    """What a training does whose weights, or whose losses of ten steps in a row, are not finite: `stop` fails it and
    leaves the last finite checkpoint's model; `go_back` to that checkpoint, at half the learning rate, three times at
    most; `continue` goes on, and fails in the end where the weights are not finite."""
    lr_ends_at_deadline: bool = False
    """When the deadline comes before the last step, the learning rate has run its schedule by the deadline."""


class SearchSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[search]: what a study tries."""

    mode: SearchMode = "quick"
    batches: int = 10
    """Micro-batches a throughput probe measures after warm-up."""
    early_stop: bool = True
    """A probe ends before `batches` when it is precise enough or cannot beat the best so far."""
    budget: str | None = None
    """No trial is started after this much time; of a plan what it measures in, by default ten minutes or a tenth of the
    window, whichever is less."""
    memory_limit: str | None = None
    """On the CPU a real limit on the worker; on a GPU a cap on the allocator."""
    configs: str | None = None
    """A file with the user's own list of candidates, JSON or TOML."""
    numerics: Numerics = "same"
    """Whether mode auto may move what changes the arithmetic by itself: bf16, fp16 and tf32."""
    knobs: dict[str, list[Scalar]] = {}


class TrackSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[track]: where else the run is shown while it goes on."""

    to: list[Tracker] = []
    project: str = "speedtui"
    name: str | None = None
    """Default: the run's id."""


class NotifySettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[notify]: who is told of a run that nobody looks at."""

    command: str | None = None
    """Run by /bin/sh for each alert, with the event as JSON on its stdin and one-line texts in SPEEDTUI_EVENT, _RUN,
    _FOLDER, _VERDICT, _TITLE and _TEXT, such as `curl -d "$SPEEDTUI_TEXT" ntfy.sh/my-topic`. Its folder is the one the
    run was started in. A run has one process that sends, also after its session and its worker were killed."""
    on: list[AlertKind] = msgspec.field(default_factory=lambda: list(get_args(AlertKind)))
    """`ended`: with a result or by a stop; `failed`; `stalled`: nothing has happened for longer than it ever takes;
    `late`: the verdict on the deadline has become that; `on_track`: it was late and is no longer; `non_finite`: a loss,
    a gradient norm or weights are; `lost`: its worker died and another takes over, or nobody is there to start one."""
    timeout: str = "30s"
    """After which the command, and all that it started, is killed."""
    bell: bool = False
    """An open screen rings the terminal's bell for an alert."""
    desktop: bool = False
    """An open screen has the terminal show a desktop notification: OSC 9, or 777 for those that know that one."""


class Settings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of speedtui.toml."""

    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    train: TrainSettings = TrainSettings()
    window: WindowSettings = WindowSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    search: SearchSettings = SearchSettings()
    track: TrackSettings = TrackSettings()
    notify: NotifySettings = NotifySettings()
    recipe: dict[str, Any] = {}
    """Handed to the recipe's build function; its knobs are `recipe.<name>`."""
