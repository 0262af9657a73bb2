"""A training program as people write them: a Trainer of its own, which evaluates and saves.

python trainer_subclass.py OUTPUT_FOLDER [EPOCHS [EXIT_STATUS]]
"""

import hashlib
import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

TOKENS = 16


class Numbers(torch.utils.data.Dataset):
    """Rows of random tokens, the same ones each time."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return self.rows

    def __getitem__(self, row):
        ids = torch.randint(0, 128, (TOKENS,), generator=torch.Generator().manual_seed(row))
        return {"input_ids": ids, "labels": ids, "attention_mask": torch.ones_like(ids)}


class SmoothedTrainer(Trainer):
    """With a loss of its own."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        loss = loss + 0.01 * outputs.logits.logsumexp(-1).mean()
        return (loss, outputs) if return_outputs else loss


def main(output, epochs=1.0, status=0):
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    )
    arguments = TrainingArguments(
        output_dir=output,
        num_train_epochs=epochs,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        eval_strategy="steps",
        eval_steps=10,
        save_steps=12,
        logging_steps=1,
        report_to=[],
        seed=1,
        use_cpu=True,
        disable_tqdm=True,
        dataloader_num_workers=1,
    )
    trainer = SmoothedTrainer(model, arguments, train_dataset=Numbers(200), eval_dataset=Numbers(20))
    trainer.train()
    weights = b"".join(tensor.detach().numpy().tobytes() for tensor in model.parameters())
    print("weights", hashlib.sha256(weights).hexdigest())
    print("losses", [entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    print("evaluations", [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry])
    print(type(trainer).__name__, trainer.state.global_step, "steps")
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1], *(float(text) for text in sys.argv[2:3]), *(int(text) for text in sys.argv[3:4]))
