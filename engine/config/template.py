"""The commented speedtui.toml that `speedtui init` writes."""

from __future__ import annotations

from speedtui.engine.config.first_precision import PLAIN, FirstPrecision

TEMPLATE = """\
# speedtui.toml: what to train, on what, and how much time there is. What stands behind a # is an example, and off:
# `speedtui help settings` says what each setting means, and what it is where it is left out.

[model]
{path_line:<33} # a folder or hub id for from_pretrained
# architecture = {{ model_type = "llama", hidden_size = 64 }}   # instead of path: random weights, no download
# tokenizer = "folder"            # default: the model's own; with an architecture alone, trained on the data
{kind:<34}# an encoder-decoder such as T5 or BART: prompt and response columns
# kind = "python"                 # your own model: recipe = "recipe.py:build"
{precision}{dtype_line:<34}# weights: float32, bfloat16, float16
# quantize = "nf4"                # the base model in 4 bits, or "int8" in 8, for train.method = "lora": bitsandbytes
# trust_remote_code = true        # run the code that comes with the model
# start_from = "runs/ID/model"    # begin with what an earlier run has learned: its adapter or weights
attention = "auto"                # sdpa where the model supports it, else eager; one of them, flash_attention_2 or _3

[data]
{train_line:<33} # JSON lines or list, CSV, TSV, each also .gz or .zst; Parquet, a saved dataset
{evaluation}
{columns}
# format = "alpaca"               # columns by name instead: alpaca (instruction, input, output, in alpaca's words),
#                                 # sharegpt (conversations), chatml (messages), prompt-completion
# prompt = ["instruction", "input"]   # several: those of a row that are not empty, with a blank line between
# prompt_template = "{{context}}\\n\\nQuestion: {{question}}"   # instead of prompt: columns in their places
# tools = "tools"                 # with messages: the column with a conversation's tools
# fold_system = true              # the system message into the first user message, for templates without that role
{max_length_line:<34}# tokens; longer samples are cut and counted
packing = false                   # whole samples laid end to end up to max_length; a row is then a pack
# eval_rows = 512                 # evaluate on the first rows only

[train]
epochs = 3                        # or max_steps = 1000
effective_batch_size = {effective:<11}# never changed silently; accumulation = effective / micro-batch
micro_batch_size = 1              # `speedtui tune` finds the fastest one that fits
learning_rate = 2e-4
lr_schedule = "cosine"            # cosine, linear, constant
lr_warmup_steps = 0
weight_decay = 0.0
max_grad_norm = 1.0
method = "lora"                   # or "full"
gradient_checkpointing = false
{bf16_line:<34}# autocast to bfloat16
{fp16_line:<34}# instead: autocast to float16, with a loss scaler; on a GPU
tf32 = false                      # float32 matrix products by TF32: NVIDIA from Ampere on
liger = false                     # kernels of the package liger-kernel, for the models it knows; on a GPU
optimizer = "adamw_torch_fused"   # adamw_torch, adafactor, sgd, adamw_bnb_8bit, paged_adamw_8bit
loader_workers = 0
group_by_length = false           # micro-batches of about one length: less padding, a less random order
compile = false                   # torch.compile
seed = 42

[train.lora]
r = 16                            # alpha defaults to 2 r
dropout = 0.0
target_modules = "all-linear"     # or a list of module names

[window]
# length = "12h"                  # or deadline = "18:40", "Fri 18:40", "2026-05-01 18:40", "09:00 Europe/Berlin"
# margin = "30m"

[schedule]
eval_every = "1 epoch"            # a full evaluation; also 200 steps, 20m, never
# fast_eval_every = "200 steps"   # the loss alone, in between
# eval_share = 0.05               # most of the run's time for full evaluations
# check_evaluation = false        # do not evaluate a few rows before the first step
# eval_batch_size = 16            # rows whose loss is computed at a time; by itself what should fit
# generate = true                 # full evaluations write the model's answers to the prompts
# beams = 4
# max_new_tokens = 128
# generation_batch_size = 32      # rows answered at a time
# metric = "metric.py:score"      # scores them: score(prediction, reference, row) -> number
# metric_threads = 8
# metric_timeout = "60s"          # for all samples of an evaluation
# best_by = "loss"                # or the metric's name; what the next two look at
# patience = 3                    # evaluations without a better one that end the training
# save_only_best = true           # a checkpoint when an evaluation is the best so far; the best model is left
checkpoint_every = "30m"          # also 500 steps, 1 epoch, never
keep_checkpoints = 3
on_nonfinite = "stop"             # NaN weights or losses: go_back to a checkpoint at half the rate; or continue
# lr_ends_at_deadline = true      # a late run's learning rate ends its schedule at the deadline

# [track]
# to = ["tensorboard"]            # wandb, trackio: the run shown there too while it goes on
# project = "speedtui"

# [notify]
# command = 'curl -d "$SPEEDTUI_TEXT" ntfy.sh/my-topic'   # run for each alert, which is also JSON on its stdin
# on = ["ended", "failed", "stalled", "late", "on_track", "non_finite", "lost"]
# timeout = "30s"                 # after which the command is killed
# bell = true                     # an open screen rings the terminal's bell
# desktop = true                  # and has it show a desktop notification

[search]
mode = "quick"                    # minimal: 4 candidates, quick: 8, thorough: 16; auto: searches by itself
batches = 10                      # micro-batches measured a trial
early_stop = true                 # end a probe that is precise enough or cannot win
numerics = "same"                 # "may change": auto may move bf16, fp16 and tf32 too
# budget = "30m"                  # no trial starts after this; a plan measures for 10m unless it says otherwise
# memory_limit = "24GiB"          # a trial's real limit: on the CPU on the worker, on a GPU on the allocator
# configs = "candidates.json"     # your own list instead of the mode's

# [search.knobs]                  # instead of the mode's list: any setting by its path
# "train.micro_batch_size" = [1, 2, 4, 8]
# "train.lora.r" = [8, 16, 32]
# "recipe.my_knob" = [2, 4, 6]
"""


NO_EVALUATION = """\
# eval = "test.jsonl"
# validation_share = 0.05         # instead of eval: a share of the training rows, drawn with train.seed"""


def render_template(
    *, model: str, train: str, columns: str, precision: FirstPrecision = PLAIN, kind: str = "",
    evaluation: str = NO_EVALUATION, max_length: int = 1024, effective_batch_size: int = 16,
) -> str:  # fmt: skip
    """The text of a new configuration; `columns` and `evaluation` are the lines that name columns and evaluation data.

    `kind`: the model's, where it is not the usual "causal-lm".
    """
    lines = f'kind = "{kind}"' if kind else '# kind = "seq2seq"'
    return TEMPLATE.format(
        path_line=f'path = "{model}"', train_line=f'train = "{train}"', columns=columns, kind=lines,
        evaluation=evaluation, precision=f"# {precision.reason}.\n" if precision.reason else "",
        dtype_line=f'dtype = "{precision.dtype}"',
        bf16_line=f"bf16 = {_text(precision.bf16)}", fp16_line=f"fp16 = {_text(precision.fp16)}",
        max_length_line=f"max_length = {max_length}", effective=effective_batch_size,
    )  # fmt: skip


def _text(value: bool) -> str:
    return "true" if value else "false"
