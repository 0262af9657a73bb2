"""What is imported with torch is no garbage, and is not looked through for any."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import torch  # noqa: F401  # as in a process in which a job has run before

from speedtui.engine.workload.imports import uncollected

FIRST = """
import gc, sys
from speedtui.engine.workload.imports import uncollected
before = gc.get_freeze_count()  # not 0 in Python 3.12, which keeps what it starts with there
try:
    with uncollected():
        assert not gc.isenabled()
        raise ImportError("torch is broken")
except ImportError:
    assert gc.isenabled() and gc.get_freeze_count() == before
with uncollected():
    import torch
    assert not gc.isenabled()
assert gc.isenabled()
later = [[]]
print(*(any(each is kept for each in gc.get_objects()) for kept in (torch.kept, later)))
"""


def test_none_is_collected_while_torch_comes_and_what_came_is_left_out_afterwards(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("kept = [[]]\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{FIRST}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False True\n", "")


def test_where_torch_is_there_already_nothing_is_changed() -> None:
    before = gc.get_freeze_count()
    with uncollected():
        assert gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() == before


ADAPTED = """
import sys
from speedtui.engine.workload.imports import uncollected
with uncollected():
    import torch  # as a plan does, which comes to the rest later
with uncollected():
    from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.workload.model import attach_lora

def adapter(layer, **loaded):
    model = torch.nn.Sequential(layer)
    vars(model).update(loaded)
    return type(attach_lora(model, LoraSettings()).base_model.model[0]).__module__

print(adapter(torch.nn.Linear(64, 64)), *({"bitsandbytes", "torch._inductor.compile_fx"} & set(sys.modules)))
from bitsandbytes.nn import Linear4bit
print(adapter(Linear4bit(64, 64).to("cpu"), is_loaded_in_4bit=True))
"""


def test_bitsandbytes_and_a_compiler_come_with_the_first_model_that_is_quantized() -> None:
    done = subprocess.run([sys.executable, "-c", ADAPTED], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["peft.tuners.lora.layer", "peft.tuners.lora.bnb"], done.stderr


LATER = """
import sys
from speedtui.engine.workload.imports import quiet_libraries, uncollected
with uncollected():
    import torch  # as a training does, which comes to the rest later
with uncollected():
    import speedtui.engine.jobs.training
    from transformers import Trainer, trainer
quiet_libraries()

class TableContext(Trainer):
    def _remove_unused_columns(self, dataset, description=None):
        print("known as", type(dataset).__name__)
        return dataset

told = TableContext(torch.nn.Linear(1, 1), train_dataset=[{"a": 1}] * 4)
told.get_train_dataloader()
print(*({"datasets", "pandas", "pyarrow"} & set(sys.modules)))
import datasets
assert trainer.is_datasets_available() and trainer.datasets.__version__ == datasets.__version__
told.train_dataset = datasets.Dataset.from_dict({"a": [1] * 4})
told.get_train_dataloader()
print(datasets.are_progress_bars_disabled())
"""


def test_datasets_comes_with_the_first_who_wants_it_and_the_trainer_then_knows_its_data(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["", "known as Dataset", "True"], done.stderr
