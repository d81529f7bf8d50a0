"""A Transformer encoder-decoder and a GRU with attention; both also step by step, with what they keep between steps.

B batch, S source tokens, T target tokens, D width, H heads, V pieces, K beams of a sentence.

All take source (B, S) and inputs (B, T) int64 (`begin`, and the target but its last) with masks, padded on the right;
padding changes nothing. `embedding_layer` names the submodule that turns tokens into vectors, which the explain stage
attributes to.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from shared.core.errors import UserError
from shared.training.weights import load_weights, read_config

from .checkpoint import State, empty_checkpoint
from .params import Model
from .pieces import Pieces

MANY_PLACES = 512  # whose sines are kept
STEPS_AT_ONCE = 16  # for which room is made: with one at a time all that is kept would be copied at every step


class Translator(Protocol):
    """What decoding needs of a model."""

    @property
    def longest(self) -> int | None:
        """Most tokens of a translation; None: any number."""

    def begin(self, source: Tensor, mask: Tensor) -> State:
        """What is kept of sources (B, S) while they are translated; there is one beam of each."""

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """(B, K) the tokens chosen last -> (B, K, V) scores of the next; the state goes on by one."""

    def choose(self, state: State, beams: Tensor, sentences: Tensor) -> None:
        """Goes on with these sentences (B',) of the state, and of each with these of its beams (B', K), in this order
        and as often as they stand there."""


class Dropout(nn.Module):
    """nn.Dropout, its probability rounded to a multiple of 1/256. On a CPU torch draws a number for each element, on
    one core, which took a fifth of a step; here eight elements share the bytes of one number."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.limit = min(round(256 * probability), 255)

    def forward(self, vectors: Tensor) -> Tensor:
        if not (self.training and self.limit):
            return vectors
        if vectors.device.type != "cpu":
            return F.dropout(vectors, self.limit / 256)
        count = vectors.numel()
        draws = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None).view(torch.uint8)
        return vectors * (draws[:count].view(vectors.shape) >= self.limit) * (256 / (256 - self.limit))


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, arXiv:1706.03762) by torch's fused kernel."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.into = nn.Linear(width, 3 * width)  # query, key, value: one product is faster than three
        self.out = nn.Linear(width, width)

    def heads(self, vectors: Tensor, number: int) -> tuple[Tensor, ...]:
        """(B, L, number * D) -> number times (B, H, L, D / H)."""
        return vectors.view(*vectors.shape[:2], number, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def own(self, vectors: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value of (B, L, D)."""
        return self.heads(self.into(vectors), 3)

    def query(self, vectors: Tensor) -> Tensor:
        width = vectors.shape[2]
        return self.heads(F.linear(vectors, self.into.weight[:width], self.into.bias[:width]), 1)[0]

    def remember(self, vectors: Tensor) -> tuple[Tensor, ...]:
        """Key and value of what is attended to."""
        width = vectors.shape[2]
        return self.heads(F.linear(vectors, self.into.weight[width:], self.into.bias[width:]), 2)

    def attend(self, heads: Sequence[Tensor], mask: Tensor | None, causal: bool = False) -> Tensor:
        """Query, key, value -> (B, T, D); mask, broadcast to (B, H, T, L): bool, True where there is something, or
        added to the scores."""
        query, key, value = heads
        # The flash kernel of CPUs takes eight times as long for gradients in bf16 (torch 2.14)
        slow = query.dtype == torch.bfloat16 and query.device.type == "cpu" and torch.is_grad_enabled()
        with sdpa_kernel(SDPBackend.MATH) if slow else nullcontext():
            found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        joined: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return joined

    def weights(self, query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
        """(B, T, L): the attention weights, mean over heads."""
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        return scores.masked_fill(~mask, -torch.inf).softmax(3).mean(1)


class Layer(nn.Module):
    """Pre-norm (Xiong et al. 2020, arXiv:2002.04745): attention to itself, to the source (decoder), two linear maps.

    Dropout applies to what each of them adds, as in Vaswani et al.
    """

    def __init__(self, params: Model, is_decoder: bool) -> None:
        super().__init__()
        width = params.width
        self.own = Attention(width, params.num_heads)
        self.cross = Attention(width, params.num_heads) if is_decoder else None
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if is_decoder else 2))
        self.inner = nn.Sequential(
            nn.Linear(width, params.feedforward), nn.ReLU(), nn.Linear(params.feedforward, width)
        )
        self.dropout = Dropout(params.dropout)

    def encode(self, vectors: Tensor, mask: Tensor) -> Tensor:
        vectors = vectors + self.dropout(self.own.attend(self.own.own(self.norms[0](vectors)), mask))
        made: Tensor = vectors + self.dropout(self.inner(self.norms[1](vectors)))
        return made

    def decode(self, vectors: Tensor, memory: Tensor, mask: Tensor, attention: list[Tensor] | None) -> Tensor:
        assert self.cross is not None
        vectors = vectors + self.dropout(self.own.attend(self.own.own(self.norms[0](vectors)), None, causal=True))
        query, (key, value) = self.cross.query(self.norms[1](vectors)), self.cross.remember(memory)
        if attention is not None:
            attention.append(self.cross.weights(query, key, mask))
        vectors = vectors + self.dropout(self.cross.attend((query, key, value), mask))
        made: Tensor = vectors + self.dropout(self.inner(self.norms[2](vectors)))
        return made

    def step(self, vectors: Tensor, past: Tensor, seen: Tensor, source: tuple[Tensor, ...], mask: Tensor) -> Tensor:
        """(B, K, D): one more position of every beam.

        Args:
            past: (2, B, H, L, D / H) keys and values of what all beams of a sentence have written, of which the last K
                are to be filled.
            seen: (B, 1, K, L), added to the scores: 0 where a beam descends from what was written there, else -inf.
            source, mask: keys and values (B, H, S, D / H) of the source; (B, 1, 1, S), added to the scores.
        """
        assert self.cross is not None
        query, *new = self.own.own(self.norms[0](vectors))
        for kept, one in zip(past, new, strict=True):
            kept[:, :, -vectors.shape[1] :] = one
        vectors = vectors + self.own.attend((query, *past), seen)
        vectors = vectors + self.cross.attend((self.cross.query(self.norms[1](vectors)), *source), mask)
        made: Tensor = vectors + self.inner(self.norms[2](vectors))
        return made


class TransformerTranslator(nn.Module):
    """Tied embeddings of both sides and the output; fixed sines as positions, so that any length can be read."""

    embedding_layer, longest = "embedding", None
    places: Tensor

    def __init__(self, params: Model, num_pieces: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_pieces, params.width)
        nn.init.normal_(self.embedding.weight, std=params.width**-0.5)
        self.encoder = nn.ModuleList(Layer(params, False) for _ in range(params.num_encoder_layers))
        self.decoder = nn.ModuleList(Layer(params, True) for _ in range(params.num_decoder_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(params.width) for _ in range(2))
        self.dropout = Dropout(params.dropout)
        self.scale = math.sqrt(params.width)
        self.register_buffer("places", sines(MANY_PLACES, params.width), persistent=False)

    def placed(self, vectors: Tensor, place: int | None = None) -> Tensor:
        """Embeddings (B, L, D) with the sines of their positions: 0, 1, ..., or the same for all."""
        first, end = (0, vectors.shape[1]) if place is None else (place, place + 1)
        places = self.places if end <= len(self.places) else sines(end, vectors.shape[2]).to(self.places)
        placed: Tensor = self.dropout(torch.add(places[first:end], vectors, alpha=self.scale))
        return placed

    def read_source(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Embeddings (B, S, D), mask (B, S) -> what the decoder attends to (B, S, D)."""
        vectors, wide = self.placed(vectors), mask[:, None, None]
        for layer in self.encoder:
            vectors = layer.encode(vectors, wide)  # type: ignore[operator]
        normed: Tensor = self.norms[0](vectors)
        return normed

    def states(self, source: Tensor, mask: Tensor, inputs: Tensor, attention: list[Tensor] | None = None) -> Tensor:
        """Embeddings (B, S, D), (B, S), embeddings (B, T, D) -> (B, T, D), of which `score` makes scores.

        Args:
            attention: gets the cross-attention (B, T, S) of each layer.
        """
        memory, vectors = self.read_source(source, mask), self.placed(inputs)
        for layer in self.decoder:
            vectors = layer.decode(vectors, memory, mask[:, None, None], attention)  # type: ignore[operator]
        normed: Tensor = self.norms[1](vectors)
        return normed

    def score(self, states: Tensor) -> Tensor:
        """(..., D) -> (..., V) logits."""
        return F.linear(states, self.embedding.weight)

    def forward(self, source: Tensor, mask: Tensor, inputs: Tensor, inputs_mask: Tensor) -> Tensor:
        """-> (N, D) states of the N real positions, for `score`: padded ones would cost as much."""
        return self.states(self.embedding(source), mask, self.embedding(inputs))[inputs_mask]

    def begin(self, source: Tensor, mask: Tensor) -> State:
        memory = self.read_source(self.embedding(source), mask)
        source_kept = [layer.cross.remember(memory) for layer in self.decoder]  # type: ignore[union-attr, operator]
        heads: int = self.decoder[0].own.num_heads  # type: ignore[union-attr, assignment]
        past = memory.new_empty(len(self.decoder), 2, len(source), heads, 0, memory.shape[2] // heads)
        seen, added = memory.new_empty(len(source), 1, 0), torch.zeros_like(mask, dtype=memory.dtype)
        kept = {"source": source_kept, "mask": added.masked_fill(~mask, -torch.inf)[:, None, None]}
        return kept | {"past": past, "seen": seen, "step": 0, "end": 0}

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """What all beams of a sentence write is kept side by side, and `seen` says what each descends from. So nothing
        but `seen` moves when beams change their places: keys and values are a hundred times larger."""
        beams, start, end = tokens.shape[1], state["end"], state["end"] + tokens.shape[1]
        if end > state["seen"].shape[2]:
            room = beams * STEPS_AT_ONCE
            state["past"], state["seen"] = F.pad(state["past"], (0, 0, 0, room)), F.pad(state["seen"], (0, room))
        past, seen = state["past"][:, :, :, :, :end], state["seen"][:, :, :end]
        seen[:, :, start:] = torch.full((beams, beams), -torch.inf, device=seen.device).fill_diagonal_(0)
        vectors = self.placed(self.embedding(tokens), state["step"])
        for number, layer in enumerate(self.decoder):
            kept = past[number], seen[:, None], state["source"][number], state["mask"]
            vectors = layer.step(vectors, *kept)  # type: ignore[operator]
        state |= {"step": state["step"] + 1, "end": end}
        return self.score(self.norms[1](vectors))

    def choose(self, state: State, beams: Tensor, sentences: Tensor) -> None:
        state["seen"] = state["seen"][sentences[:, None], beams]
        if len(sentences) < len(state["mask"]):
            state["past"] = state["past"].index_select(2, sentences)
            state["mask"] = state["mask"][sentences]
            state["source"] = [[part[sentences] for part in kept] for kept in state["source"]]


def sines(length: int, width: int) -> Tensor:
    """(L, D): sines and cosines of wavelengths from 2 pi to 10,000 times that (Vaswani et al. 2017)."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(length)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :width]


class RecurrentTranslator(nn.Module):
    """Bahdanau et al. 2015 (arXiv:1409.0473): a GRU in each direction reads, one with additive attention writes."""

    embedding_layer, longest = "embedding", None

    def __init__(self, params: Model, num_pieces: int) -> None:
        super().__init__()
        width = params.width
        self.embedding = nn.Embedding(num_pieces, width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.ahead, self.back = (nn.GRU(width, width, batch_first=True) for _ in range(2))
        self.start = nn.Linear(width, width)
        self.key, self.query, self.energy = nn.Linear(2 * width, width), nn.Linear(width, width), nn.Linear(width, 1)
        self.cell = nn.GRUCell(3 * width, width)
        self.mix = nn.Linear(4 * width, width)
        self.dropout = Dropout(params.dropout)

    def read_source(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The states of both directions (B, S, 2D), of which the second reads from a text's own end; their keys
        (B, S, D); the writer's first state (B, 1, D)."""
        place, length = torch.arange(mask.shape[1], device=mask.device), mask.sum(1, keepdim=True)
        turned = torch.where(mask, length - 1 - place, place)[..., None].expand_as(vectors)
        vectors = self.dropout(vectors)
        reverse = self.back(vectors.gather(1, turned))[0].gather(1, turned)
        memory = torch.cat([self.ahead(vectors)[0], reverse], 2)
        return memory, self.key(memory), torch.tanh(self.start(reverse[:, :1]))

    def step(
        self, vector: Tensor, hidden: Tensor, memory: Tensor, key: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of the last tokens and states (B, K, D) -> the next states, what is scored (B, K, D), and the
        attention weights (B, K, S)."""
        energy = self.energy(torch.tanh(key[:, None] + self.query(hidden)[:, :, None]))[..., 0]
        weights = energy.masked_fill(~mask[:, None], -torch.inf).softmax(2)
        context = weights @ memory
        hidden = self.cell(torch.cat([vector, context], 2).flatten(0, 1), hidden.flatten(0, 1)).view_as(hidden)
        return hidden, self.mix(self.dropout(torch.cat([hidden, context, vector], 2))), weights

    def states(self, source: Tensor, mask: Tensor, inputs: Tensor, attention: list[Tensor] | None = None) -> Tensor:
        """As the Transformer's."""
        memory, key, hidden = self.read_source(source, mask)
        made: list[Tensor] = []
        shares: list[Tensor] = []
        for vector in self.dropout(inputs).split(1, 1):
            hidden, state, weights = self.step(vector, hidden, memory, key, mask)
            made.append(state)
            shares.append(weights)
        if attention is not None:
            attention.append(torch.cat(shares, 1))
        return torch.cat(made, 1)

    def score(self, states: Tensor) -> Tensor:
        """(..., D) -> (..., V) logits."""
        return F.linear(states, self.embedding.weight)

    def forward(self, source: Tensor, mask: Tensor, inputs: Tensor, inputs_mask: Tensor) -> Tensor:
        """As the Transformer's."""
        return self.states(self.embedding(source), mask, self.embedding(inputs))[inputs_mask]

    def begin(self, source: Tensor, mask: Tensor) -> State:
        memory, key, hidden = self.read_source(self.embedding(source), mask)
        return {"memory": memory, "key": key, "mask": mask, "hidden": hidden}

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        kept = state["memory"], state["key"], state["mask"]
        state["hidden"], made, _ = self.step(self.embedding(tokens), state["hidden"], *kept)
        return self.score(made)

    def choose(self, state: State, beams: Tensor, sentences: Tensor) -> None:
        state["hidden"] = state["hidden"][sentences[:, None], beams]
        if len(sentences) < len(state["mask"]):
            state |= {name: state[name][sentences] for name in ("memory", "key", "mask")}


def build_model(config: dict[str, Any]) -> nn.Module:
    """The network that a config (see `load_model`) describes, with random weights from torch's generator. Raises
    UserError where heads do not divide a vector."""
    params = Model(**config["model"])
    if params.name == "checkpoint":
        return empty_checkpoint(config["network"])
    if params.name == "transformer" and params.width % params.num_heads:
        raise UserError(
            f"train.model.num_heads: {params.num_heads} heads cannot share a vector of {params.width} equally",
            expected="a divisor of train.model.width",
        )
    kind = TransformerTranslator if params.name == "transformer" else RecurrentTranslator
    return kind(params, len(Pieces.of(config["pieces"])))


def load_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train: model (its params), languages, max_tokens,
    pieces (see pieces.py), of a checkpoint network (as transformers keeps it).
    """
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config
