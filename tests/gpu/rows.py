"""What the check is made of: its blocks, the most valuable first, and what each of them is to prove.

Nothing here needs more than Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BLOCKS = "tests.gpu.blocks"


@dataclass(frozen=True)
class Block:
    """One process of the check."""

    name: str
    seconds: float
    """It is meant to take on an H200; with fewer left it is not begun."""
    run: str
    """`module:function`, called with a `Site`."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """What it proves or refutes, by a short key."""


@dataclass(frozen=True)
class Part:
    """Blocks that are run by one command, one after the other."""

    name: str
    seconds: float
    """Of all of them together; what no longer fits is left out and told as not reached."""
    blocks: tuple[Block, ...]


ALLOWED, STARTING_SECONDS = 1.5, 10.0
"""A block is killed after so many times what it is meant to take, and what a cold disk and a first context take."""

A = Part(
    "A",
    280.0,
    (
        Block("facts", 8, f"{BLOCKS}.facts:run", {
            "readings": "every value of an NVML sample is there",
            "throttled": "a healthy device at full load is not called throttled",
        }),
        Block("contract", 10, f"{BLOCKS}.contract:run", {
            "kept": "the device keeps every promise of the simulated one",
            "stays_broken": "a broken context fails in every call, those of cleaning up too",
        }),
        Block("clock", 25, f"{BLOCKS}.clock:run", {
            "events": "phases on the device's clock are within 2 % of events recorded by hand",
            "profiler": "and within 2 % of the kernels that torch.profiler saw",
            "gap": "an idle gap is found within 2 %",
            "read": "a loss is read in less than 1 ms with 300 ms of work queued behind it",
            "marks": "the marks of a step cost the training thread 20 us or less",
        }),
        Block("returned", 20, f"{BLOCKS}.returned:run", {
            "bytes": "every trial leaves less than 1 MiB on the device",
            "after_out_of_memory": "one that ran out of memory leaves less than 1 MiB too",
        }),
        Block("attention", 12, f"{BLOCKS}.attention:run", {
            "default": "with torch's own order of kernels a new length costs less than twice a known one",
            "cudnn_last": "with cuDNN last a new length costs less than twice a known one",
            "grouped_fp32": "float32 with grouped heads takes no more memory without a mask than with one",
        }),
        Block("failures", 12, f"{BLOCKS}.failures:run", {
            "too_large": "139 GiB asked for is out of memory",
            "over_fraction": "more than the process's fraction is out of memory",
            "cublas": "a product on a full card is out of memory",
            "triton": "a Triton kernel that cannot be had is told as a failure and leaves the process usable",
            "assert": "a device-side assert poisons the process",
        }),
        Block("studies", 95, f"{BLOCKS}.studies:run", {
            "all_ok": "every LoRA trial is ok and leaves the base weights as they were",
            "one_out_of_memory": "of the limited full study the large trial alone is out of memory, the next one is ok",
            "same_worker": "no worker is started again",
            "books": "the books of both studies close within 1 %",
            "expected_step": "40 steps take what the trial expected, within 5 %",
        }),
        Block("poisoned", 45, f"{BLOCKS}.poisoned:run", {
            "replaced_once": "a poisoned trial between two others costs one worker",
            "study_ends": "the study ends, with both others ok",
        }),
        Block("precisions", 35, f"{BLOCKS}.precisions:run", {
            "fp16": "float16 with its scaler trains, faster than float32",
            "nf4": "a base in 4 bits trains its adapter, is unchanged to the bit and needs less memory",
            "int8": "and so does one in 8 bits",
            "liger": "liger's kernels leave the loss as it is within 1 %",
        }),
        Block("fp32_after_compile", 15, f"{BLOCKS}.compiling:fp32_after_compile", {
            "same_step": "a float32 step is as fast after a compiled candidate as before it, within 3 %",
        }),
    ),
)  # fmt: skip

B = Part(
    "B",
    420.0,
    (
        Block("memory", 75, f"{BLOCKS}.memory:run", {
            "raw": "predicted peaks are within 10 % of the measured ones",
            "calibrated": "after one probe they are within 3 %",
            "never_under": "and never more than 2 % too low",
        }),
        Block("meter", 50, f"{BLOCKS}.meter:run", {
            "wall": "metering costs a training of the 0.5 B model 1 % of its time or less",
            "launch_bound": "and 20 us a step or less where launching is what takes time",
        }),
        Block("batches", 60, f"{BLOCKS}.batches:run", {
            "correlation": "the speeds of 10 batches correlate with those of 50 by 0.99 or more",
            "cudnn_last": "with cuDNN's attention last by 0.999 or more",
            "same_winner": "both find the same winner",
        }),
        Block("auto", 90, f"{BLOCKS}.auto:run", {
            "of_the_grid": "auto finds 97 % or more of the best of an 8-point grid",
            "in_a_third": "in a third of its time or less",
            "over_defaults": "at 2.5 times the speed of transformers' defaults or more",
            "hand_tuned": "and never slower than settings tuned by hand, by the 95 % interval of turns",
        }),
        Block("finish", 40, f"{BLOCKS}.finish:run", {
            "at_launch": "the finish time of 250 steps is known within 5 % at launch",
            "on_the_way": "and within 5 % at 10, 25 and 50 % of the way",
        }),
        Block("phases", 15, f"{BLOCKS}.phases:run", {
            "profiler": "each phase of a real step is within 3 % of torch.profiler's timeline",
        }),
        Block("fragmentation", 25, f"{BLOCKS}.fragmentation:run", {
            "retries": "150 steps of random lengths under a cap of 24 GiB need no allocation retry",
            "reserved": "and reserve 1.03 times the probe's peak or less",
            "fixed": "the same with segments of a fixed size",
        }),
        Block("finders", 25, f"{BLOCKS}.finders:run", {
            "out_of_memory": "auto's largest micro-batch is found with fewer out-of-memories than accelerate's",
        }),
        Block("compile_twice", 20, f"{BLOCKS}.compiling:compile_twice", {
            "as_fresh": "the second compiled trial of a worker is charged what the first was, within 25 %",
        }),
    ),
)  # fmt: skip

MACHINE = Block("machine", 30, f"{BLOCKS}.facts:machine")
"""What the figures are of; the first of all, outside of both parts."""

PARTS = {part.name: part for part in (A, B)}
