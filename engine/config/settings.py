"""Every setting of speedtui.toml, with its unit and default."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

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


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Of a number. They are no part of reading it: a flag may take the place of what a file says wrongly."""

    ge: float | None = None
    gt: float | None = None
    lt: float | None = None


Count = Annotated[int, Bounds(ge=1)]
CountOrZero = Annotated[int, Bounds(ge=0)]
Positive = Annotated[float, Bounds(gt=0)]
NotNegative = Annotated[float, Bounds(ge=0)]
Share = Annotated[float, Bounds(gt=0, lt=1)]


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
    """`causal-lm`: a decoder, such as Llama; `seq2seq`: an encoder and a decoder, such as T5; `python`: a recipe."""
    recipe: str | None = None
    """For kind "python": `file.py:function`."""
    dtype: Dtype = "float32"
    """In which weights are held."""
    quantize: Quantize = "none"
    """How the base model's linear layers are held while adapters are trained, by bitsandbytes: `nf4` in 4 bits, with
    their scales in 8 (double quantization, arXiv:2305.14314); `int8` in 8 bits (LLM.int8, arXiv:2208.07339). The output
    layer and what is no linear layer are float32 then."""
    attention: Attention = "auto"
    """`auto`: sdpa where the model supports it, else eager."""
    trust_remote_code: bool = False
    """Run the code that comes with the model."""
    start_from: str | None = None
    """The `model` folder of an earlier run: its adapter or weights are what this training begins with."""


class DataSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[data]: what it is trained on."""

    train: str | None = None
    """JSON lines, a JSON list, CSV or TSV, each also as .gz or .zst, Parquet, or a folder written by `save_to_disk`."""
    eval: str | None = None
    """A file of the same columns to evaluate on."""
    validation_share: Share | None = None
    """Instead of `eval`: this share of the training rows, such as 0.05, is held out and evaluated on. Which ones is
    decided by `train.seed` and the number of rows, the same in every trial and run."""
    format: Format | None = None
    """Columns by the name of a common layout, instead of naming them: `alpaca` has instruction, input and output,
    `sharegpt` conversations, `chatml` messages, `prompt-completion` what its name says."""
    prompt: str | list[str] | None = None
    """A column, or several: those of a row that are not empty are joined with a blank line."""
    prompt_template: str | None = None
    """Instead of `prompt`: `"{context}\n\nQuestion: {question}"`; braces are written twice, as in `str.format`."""
    response: str | None = None
    """The column that is learned after the prompt."""
    text: str | None = None
    """Instead of prompt and response: the column that is learned from its beginning to its end."""
    messages: str | None = None
    """Instead: the column with a conversation, whose assistant messages are learned."""
    tools: str | None = None
    """The column with the tools of a conversation; by default a column `tools`, where there is one."""
    fold_system: bool = False
    """A conversation's system message becomes the beginning of its first user message."""
    max_length: Annotated[int, Bounds(ge=2)] = 1024
    """Tokens; a longer sample is cut at its end, and how many were cut is said."""
    eval_rows: Count | None = None
    """Evaluate on the first rows only; not set, on all."""
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

    r: Count = 16
    """Rank of the adapter's matrices."""
    alpha: Count | None = None
    """The adapter counts alpha / r times; default 2 r."""
    dropout: Annotated[float, Bounds(ge=0, lt=1)] = 0.0
    """Share of an adapter's inputs that are left out in training."""
    target_modules: list[str] | Literal["all-linear"] = "all-linear"
    """Names of the layers that get an adapter; `all-linear`: every linear one but the output layer."""


class TrainSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[train]: how it is trained."""

    epochs: Positive = 3.0
    """Passes over the training rows; parts of one are possible."""
    max_steps: Count | None = None
    """Optimizer steps; overrides `epochs`."""
    effective_batch_size: Count = 16
    """Sequences an optimizer step sees; never changed silently."""
    micro_batch_size: Count = 1
    """Sequences in one forward and backward; accumulation follows from it."""
    learning_rate: Positive = 2e-4
    """At its highest, after the warm-up."""
    lr_schedule: LearningRateSchedule = "cosine"
    """How the learning rate falls from its highest to the last step."""
    lr_warmup_steps: CountOrZero = 0
    """Optimizer steps in which the learning rate rises from zero."""
    weight_decay: NotNegative = 0.0
    """Share of a weight that is taken off in a step, times the learning rate; not of biases and norms."""
    max_grad_norm: NotNegative = 1.0
    """Gradients with a larger norm over all weights are scaled down to it; 0 leaves them as they are."""
    method: Method = "lora"
    """`lora`: adapters are trained, the model stays; `full`: every weight."""
    lora: LoraSettings = LoraSettings()
    gradient_checkpointing: bool = False
    """Activations are computed again in the backward pass instead of kept: less memory, more time."""
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
    """By transformers' names; those in 8 bits need bitsandbytes."""
    loader_workers: CountOrZero = 0
    """Processes that prepare batches beside the training."""
    group_by_length: bool = False
    """Micro-batches of samples of about the same length: less padding, an order that is less random."""
    compile: bool = False
    """torch.compile: the first steps take longer, the others less."""
    seed: Annotated[int, Bounds(ge=0, lt=1 << 32)] = 42
    """Of the order of the samples, of dropout, of new weights; numpy takes none above 4294967295."""


class WindowSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[window]: the time there is."""

    length: str | None = None
    """From the start on, such as `12h` or `2h30m`."""
    deadline: str | None = None
    """Instead: a time of day or date, such as `18:40`, `Fri 18:40`, `2026-05-01 18:40`, `09:00 Europe/Berlin`."""
    margin: str = "0s"
    """What is to be left at the end of it."""


class ScheduleSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[schedule]: what happens besides training steps."""

    eval_every: str = "1 epoch"
    """A full evaluation: loss, and generation and the metric where they are set. `200 steps`, `1 epoch`, `20m` or
    `never`; the last step is evaluated too."""
    fast_eval_every: str = "never"
    """The loss alone, in between."""
    eval_share: Share | None = None
    """Most of the run's time for full evaluations, such as 0.05; one that is due and would take more is left out."""
    eval_batch_size: Count | None = None
    """Rows whose loss is computed at a time; not set, what should fit, halved where it does not."""
    check_evaluation: bool = True
    """The loss of two batches and the answers of one before the first step: what fails then fails now."""
    generate: bool = False
    """Full evaluations write what the model answers."""
    beams: Count = 1
    """Of the search that generates; 1 takes the likeliest token each time."""
    max_new_tokens: Count = 128
    """Of an answer, at most."""
    generation_batch_size: Count | None = None
    """Rows that are answered at a time; not set, as for `eval_batch_size`."""
    metric: str | None = None
    """`metric.py:function` that scores what was generated; an empty text is none."""
    metric_threads: Count = 8
    """Samples scored at the same time."""
    metric_timeout: str = "60s"
    """For all samples of an evaluation; what has no score by then counts as 0, and how many is said."""
    best_by: str = "loss"
    """What `patience` and `save_only_best` look at: `loss`, the lower the better, or the name of a metric, the higher
    the better."""
    patience: Count | None = None
    """Evaluations in a row without a better one, after which the training ends; not set, it goes to the last step."""
    save_only_best: bool = False
    """A checkpoint when an evaluation is the best so far instead of every so many steps; the model that is left is
    the best one. A `checkpoint_every` by the clock stays, as a way back after an interruption."""
    checkpoint_every: str = "30m"
    """`500 steps`, `1 epoch`, `30m` or `never`."""
    keep_checkpoints: Count = 3
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
    """`minimal`: 4 candidates, `quick`: 8, `thorough`: 16; `auto` searches by what it finds."""
    batches: Count = 10
    """Micro-batches a throughput probe measures after warm-up."""
    early_stop: bool = True
    """A probe ends before `batches` when it is precise enough or cannot beat the best so far."""
    budget: str | None = None
    """No trial is started after this much time; of a plan what it measures in, by default ten minutes or a tenth of the
    window, whichever is less."""
    memory_limit: str | None = None
    """What a trial may use, not a training: on the CPU a real limit on the worker; on a GPU a cap on the allocator."""
    configs: str | None = None
    """A file with the user's own list of candidates, JSON or TOML."""
    numerics: Numerics = "same"
    """Whether mode auto may move what changes the arithmetic by itself: bf16, fp16 and tf32."""
    knobs: dict[str, list[Scalar]] = {}
    """Instead of the mode's list: values to be tried by a setting's path, such as "train.lora.r" = [8, 16]."""


class TrackSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[track]: where else the run is shown while it goes on."""

    to: list[Tracker] = []
    """Trackers that are fed as the run goes on."""
    project: str = "speedtui"
    """The project, experiment or folder that the trackers file it under."""
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
