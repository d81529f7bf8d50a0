"""A training learns, resumes with the same bytes, says what was not finite, and is the same in two processes."""

import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from projects.fashion_gan import train
from projects.fashion_gan.losses import LOSSES, Losses
from shared.core.errors import Stopped, UserError
from shared.core.paths import ROOT
from shared.data.prepared import Prepared
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import join, launch
from shared.training.weights import save_model

from . import tiny

STEPS, ALIKE = 50, tiny.params(precision="fp64", micro_batch_size=2, translation=0.125, r1_steps=3)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return tiny.prepare(tmp_path_factory.mktemp("data"))


class Interrupted(Checkpoint):
    """Ctrl-C right after the second checkpoint."""

    def save(self, state: dict[str, Any]) -> None:
        super().save(state)
        if state["progress"]["step"] == 14:
            raise KeyboardInterrupt


def left(trained: train.Run, out: Path) -> dict[str, Any]:
    """Every byte that a training leaves, but times."""
    files = {path.name: path.read_bytes() for path in sorted(out.glob("samples/*"))}
    weights = {name: tensor.numpy().tobytes() for name, tensor in trained.model.state_dict().items()}
    return files | weights | {"history": trained.history.train, "validation": trained.history.validation}


@pytest.mark.parametrize("changes", [{"translation": 0.125}, {"loss": "hinge", "ema_decay": 0.0}])
def test_an_interrupted_run_ends_with_the_same_bytes(
    prepared: Prepared, tmp_path: Path, changes: dict[str, Any]
) -> None:
    chosen = tiny.params(**changes)
    straight = left(tiny.run(prepared, tmp_path / "straight", chosen), tmp_path / "straight")
    assert len(straight) > 10
    with pytest.raises(KeyboardInterrupt):
        tiny.run(prepared, tmp_path / "resumed", chosen, Interrupted)
    for _ in range(2):  # the second one finds the checkpoint of the last step
        assert left(tiny.run(prepared, tmp_path / "resumed", chosen), tmp_path / "resumed") == straight


class Signalled(Checkpoint):
    """Asked to end while step 8 is computed; checkpoints are made by the clock alone, in every step."""

    def is_due(self, step: int) -> bool:
        self._due, self._signal = 0.0, signal.SIGTERM if step == 9 else 0
        return super().is_due(step)


def test_a_signal_keeps_the_step_and_the_next_run_ends_with_the_same_bytes(prepared: Prepared, tmp_path: Path) -> None:
    chosen = tiny.params()
    straight = left(tiny.run(prepared, tmp_path / "straight", chosen), tmp_path / "straight")
    with pytest.raises(Stopped, match="step 9 is kept"):
        tiny.run(prepared, tmp_path / "resumed", chosen, Signalled)
    assert left(tiny.run(prepared, tmp_path / "resumed", chosen), tmp_path / "resumed") == straight


def test_samples_over_training_are_an_animation_and_its_last_picture(prepared: Prepared, tmp_path: Path) -> None:
    tiny.run(prepared, tmp_path / "out", tiny.params())
    with Image.open(tmp_path / "out/samples/moving.webp") as image:
        assert getattr(image, "n_frames", 1) == 4  # steps 15, 30, 45 and 50
    with Image.open(tmp_path / "out/samples/still.png") as image:
        assert image.size == (10 * (tiny.SIDE + 1) + 1, 8 * (tiny.SIDE + 1) + 1)


def test_it_learns_what_each_class_looks_like(prepared: Prepared, tmp_path: Path) -> None:
    chosen = tiny.params(epochs=60.0, train__model__width=16, r1_weight=0.1, r1_steps=1, lr=0.004, sample_epochs=60.0)
    trained = tiny.run(prepared, tmp_path / "out", chosen)
    with Image.open(tmp_path / "out/samples/still.png") as picture:
        grid = np.asarray(picture.convert("L"))[1:, 1:].reshape(8, tiny.SIDE + 1, 10, tiny.SIDE + 1)[:, :-1, :, :-1]
    images = grid.transpose(0, 2, 1, 3).reshape(80, tiny.SIDE, tiny.SIDE).astype(float)
    vertical = images.mean(1).std(1) > images.mean(2).std(1)  # columns differ more than rows
    assert (vertical == (np.arange(80) % 2 == 0)).mean() > 0.9
    assert set(trained.history.validation[0]) == {"step", "epoch", "valid_logit", "train_logit"}


@pytest.mark.parametrize("log_steps", [1, 10])
@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_a_loss_that_is_not_finite_is_named_with_its_step(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, log_steps: int
) -> None:
    fine = LOSSES["hinge"]
    broken = {
        "discriminator": fine._replace(discriminator=lambda real, fake: fake / 0),
        "generator": fine._replace(generator=lambda fake: fake * float("nan")),
    }
    monkeypatch.setitem(LOSSES, "hinge", broken[name])
    chosen = tiny.params(loss="hinge", runtime__log_steps=log_steps, runtime__checkpoint_steps=10)
    with pytest.raises(UserError, match=f"not finite in step 0 .epoch 0.00.: {name} loss"):
        tiny.run(prepared, tmp_path / "out", chosen)
    assert not (tmp_path / "out/last.pt").exists()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_short_precision_stays_finite(prepared: Prepared, tmp_path: Path, precision: str) -> None:
    chosen = tiny.params(precision=precision, epochs=4.0, r1_steps=1, translation=0.125)
    rows = tiny.run(prepared, tmp_path / "out", chosen).history.train
    assert len(rows) == 20
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert all(row["train_penalty"] > 0 for row in rows)


def test_in_fp16_an_overflow_of_the_generator_moves_neither_it_nor_its_average(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[dict[str, Any]] = []

    class Kept(Checkpoint):
        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            states.append(torch.load(self.path, weights_only=True))

    chosen = tiny.params(precision="fp16", epochs=2.0, loss="hinge", runtime__checkpoint_steps=1)
    huge = Losses(LOSSES["hinge"].discriminator, lambda fake: fake * 1e38)
    monkeypatch.setitem(LOSSES, "hinge", huge)
    tiny.run(prepared, tmp_path / "out", chosen, Kept)
    first, last = states[0], states[-1]
    assert last["generator_scaler"]["scale"] == 2.0**16 / 4 / 2**10  # every step was skipped
    assert int(last["average"]["n_averaged"]) == 0
    assert last["generator_optimizer"]["state"] == {}
    assert torch.equal(last["generator_module"]["stem.weight"], first["generator_module"]["stem.weight"])
    assert last["discriminator_scaler"]["scale"] > last["generator_scaler"]["scale"]
    assert last["discriminator_optimizer"]["state"][0]["step"] > 5


def test_one_and_two_processes_train_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    prepared, curves, weights = tiny.prepare(tmp_path), [], []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        words = [str(prepared.folder), str(out)]
        assert launch("tests.projects.fashion_gan.test_train", words, processes) == 0
        curves.append(np.loadtxt(out / "history.tsv", skiprows=1))
        weights.append(load_file(out / "model.safetensors"))
    assert len(curves[0]) == STEPS
    assert np.ptp(curves[0][:, 2]) > 0.1
    np.testing.assert_allclose(curves[1], curves[0], rtol=0, atol=1e-8)
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-7, msg=name)


def main(prepared: Path, out: Path) -> None:
    torch.set_default_dtype(torch.float64)
    with join(ALIKE.runtime) as world:
        done = tiny.run(Prepared(prepared), out, ALIKE, world=world)
        if world.is_first:
            done.history.write(out)
            save_model(out, done.model, {})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
