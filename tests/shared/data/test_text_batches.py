import numpy as np
import torch
from shared.data.columns import Ragged

from shared.text.batches import Padded, text_batches
from shared.training.distributed import World, local
from tests.shared.training.tiny import PARAMS, RUNTIME

CPU = torch.device("cpu")


def test_rows_are_padded_with_nothing_on_the_right():
    tokens, mask = Padded(Ragged.of([[5, 6, 7], [], [8]], np.int32), CPU)(torch.tensor([2, 0, 1]))
    assert tokens.tolist() == [[8, 0, 0], [5, 6, 7], [0, 0, 0]]
    assert mask.tolist() == [[True, False, False], [True, True, True], [False, False, False]]
    several = Padded(Ragged.of([[(1, 2)], [(3, 4), (5, 6)]], np.int32), CPU)(torch.tensor([0, 1]))[0]
    assert several.tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]


def test_ranks_and_workers_see_the_batches_of_one_process():
    rng = np.random.default_rng(0)
    tokens = Ragged.of([rng.integers(1, 9, rng.integers(1, 30)).tolist() for _ in range(60)], np.int32)
    labels = Ragged(tokens.values % 3, tokens.offsets)
    chosen = PARAMS.model_copy(update={"batch_size": 200, "micro_batch_size": 60})

    def made(world: World, loader: str) -> list[set[tuple[int, ...]]]:
        runtime = RUNTIME.model_copy(update={"loader": loader, "workers": 2})
        batches = text_batches(tokens, labels, None, chosen, runtime, world)
        return [
            {
                (int(sample), *ids[mask].tolist(), *label[mask].tolist())
                for batch in step
                for sample, ids, mask, label in zip(batch.sample, batch.tokens, batch.mask, batch.label, strict=True)
            }
            for step in batches.stream(0, len(batches))
        ]

    alone = made(local(), "device")
    shares = [made(World(rank, 2, CPU), "device") for rank in range(2)]
    assert [one | two for one, two in zip(*shares, strict=True)] == alone
    assert made(local(), "workers") == alone
    assert sum(map(len, alone)) == 60
