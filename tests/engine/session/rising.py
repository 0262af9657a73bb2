"""A recipe that diverges when it is told to."""

RECIPE = """
import torch
from torch import nn

class Rising(nn.Module):
    '''Its weight rises by the learning rate with every step; what it says once that is above a limit, or of one row,
    is no number.'''

    def __init__(self, limit, bad_row, poison):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.limit, self.bad_row, self.poison = limit, bad_row, poison

    def forward(self, row, labels):
        loss = 5.0 - self.weight.sum()
        bad = bool((row == self.bad_row).any()) and self.training
        if not float(self.weight.detach()) <= self.limit:
            return {"loss": loss * float("nan")}
        return {"loss": loss * float(self.poison) if bad and self.poison != "added" else
                loss + float("nan") if bad else loss}

def collate(rows):
    return {"row": torch.tensor(rows), "labels": torch.tensor(rows)}

def build(limit: float = 1e9, bad_row: int = -1, poison: str = "nan", rows: int = 64):
    return {"model": Rising(limit, bad_row, poison), "train_dataset": list(range(rows)),
            "eval_dataset": list(range(4)), "collator": collate}
"""
