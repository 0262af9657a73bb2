"""A summariser that reads with a BiLSTM and writes words of its vocabulary or of the article.

After See, Liu and Manning, "Get To The Point: Summarization with Pointer-Generator Networks", arXiv:1704.04368,
without the coverage loss. Each part is a module of its own, so that a profiler can tell their shares of a step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from summaries import END, IGNORED, OWN_WORDS, PAD, START, UNKNOWN
from torch import nn
from torch.nn import functional


class Memory(NamedTuple):
    """What the decoder looks at."""

    states: torch.Tensor
    """Of the encoder: (rows, words, 2 hidden)."""
    keys: torch.Tensor
    """The same as the attention compares them: (rows, words, hidden)."""
    mask: torch.Tensor
    """(rows, words), bool, True at words."""


class Encoder(nn.Module):
    """Reads in both directions."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(4 * hidden, 2 * hidden)

    def forward(
        self, embedded: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """embedded: (rows, words, width); lengths: (rows,), on the CPU. The second is the decoder's first state."""
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        read, (hidden, cell) = self.lstm(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(read, batch_first=True, total_length=embedded.shape[1])
        ends = torch.cat([*hidden, *cell], dim=-1)
        first = torch.tanh(self.bridge(ends)).chunk(2, dim=-1)
        return states, (first[0].contiguous(), first[1].contiguous())


class Attention(nn.Module):
    """Additive: how much each word of the article matters now."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.key = nn.Linear(2 * hidden, hidden)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, state: torch.Tensor, memory: Memory) -> tuple[torch.Tensor, torch.Tensor]:
        """state: (rows, hidden); gives (context: (rows, 2 hidden), weights: (rows, words))."""
        scores = self.score(torch.tanh(memory.keys + self.query(state).unsqueeze(1))).squeeze(-1)
        weights = scores.masked_fill(~memory.mask, float("-inf")).softmax(dim=-1)
        return torch.einsum("rw,rwh->rh", weights, memory.states), weights


class Decoder(nn.Module):
    """One word further."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(width + 2 * hidden, hidden)

    def forward(
        self, embedded: torch.Tensor, context: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """embedded: (rows, width), of the word before; context: (rows, 2 hidden), of the attention before."""
        following: tuple[torch.Tensor, torch.Tensor] = self.cell(torch.cat([embedded, context], dim=-1), state)
        return following


class Pointer(nn.Module):
    """Mixes the vocabulary's distribution with the article's words."""

    def __init__(self, width: int, hidden: int, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.generate = nn.Linear(width + 3 * hidden, 1)
        self.combine = nn.Linear(3 * hidden, width)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, vocabulary)

    def forward(
        self, states: torch.Tensor, contexts: torch.Tensor, embedded: torch.Tensor, weights: torch.Tensor,
        article: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Log-probabilities of the vocabulary and the article's own words, (rows, written, vocabulary + OWN_WORDS).

        states: (rows, written, hidden); contexts: (rows, written, 2 hidden); embedded: (rows, written, width);
        weights: (rows, written, words); article: (rows, words), int64.
        """
        seen = torch.cat([states, contexts], dim=-1)
        generating = torch.sigmoid(self.generate(torch.cat([seen, embedded], dim=-1)))
        own = self.project(self.dropout(self.combine(seen))).softmax(dim=-1)
        mixed = functional.pad(generating * own, (0, OWN_WORDS))
        places = article.unsqueeze(1).expand(-1, weights.shape[1], -1)
        return mixed.scatter_add(-1, places, (1 - generating) * weights).clamp_min(1e-9).log()


class Summariser(nn.Module):
    """From articles and summaries to the loss, and from articles to summaries."""

    def __init__(self, vocabulary: int, *, width: int = 48, hidden: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.encoder = Encoder(width, hidden)
        self.attention = Attention(hidden)
        self.decoder = Decoder(width, hidden)
        self.pointer = Pointer(width, hidden, vocabulary, dropout)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """input_ids, attention_mask: (rows, words); labels: (rows, written), -100 at padding; all int64.

        Gives `loss`, the mean over the summaries' words.
        """
        memory, state = self._read(input_ids, attention_mask)
        embedded = self.embedding(self._known(self._before(labels)))
        context = memory.states.new_zeros(len(labels), memory.states.shape[-1])
        states, contexts, weights = [], [], []
        for at in range(labels.shape[1]):
            state = self.decoder(embedded[:, at], context, state)
            context, weight = self.attention(state[0], memory)
            states.append(state[0])
            contexts.append(context)
            weights.append(weight)
        written = self.pointer(torch.stack(states, 1), torch.stack(contexts, 1), embedded, torch.stack(weights, 1),
                               input_ids)  # fmt: skip
        return {"loss": functional.nll_loss(written.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)}

    @torch.no_grad()
    def write(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, *, longest: int) -> torch.Tensor:
        """The likeliest word each time: (rows, at most `longest`), int64; anything may follow an end mark."""
        memory, state = self._read(input_ids, attention_mask)
        context = memory.states.new_zeros(len(input_ids), memory.states.shape[-1])
        word = input_ids.new_full((len(input_ids),), START)
        written, ended = [], torch.zeros_like(word, dtype=torch.bool)
        while len(written) < longest and not bool(ended.all()):
            embedded = self.embedding(self._known(word))
            state = self.decoder(embedded, context, state)
            context, weight = self.attention(state[0], memory)
            one = [x.unsqueeze(1) for x in (state[0], context, embedded, weight)]
            word = self.pointer(*one, input_ids).squeeze(1).argmax(dim=-1)
            ended |= word == END
            written.append(word)
        return torch.stack(written, dim=1)

    def _read(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[Memory, tuple[torch.Tensor, torch.Tensor]]:
        lengths = attention_mask.sum(dim=1).cpu()
        states, first = self.encoder(self.embedding(self._known(input_ids)), lengths)
        return Memory(states, self.attention.key(states), attention_mask.bool()), first

    def _known(self, ids: torch.Tensor) -> torch.Tensor:
        """The article's own words have no embedding."""
        return ids.masked_fill(ids >= self.embedding.num_embeddings, UNKNOWN)

    @staticmethod
    def _before(labels: torch.Tensor) -> torch.Tensor:
        """The word before each: labels moved by one, from the start mark on."""
        moved = functional.pad(labels[:, :-1], (1, 0), value=START)
        return moved.masked_fill(moved == IGNORED, PAD)
