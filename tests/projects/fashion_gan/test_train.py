"""A training learns, goes on after an interruption with the same bytes, and says when it breaks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from shared.data.arrays import Split

from projects.fashion_gan import train
from projects.fashion_gan.losses import LOSSES, Adversaries
from shared.core.errors import UserError
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import local

from . import tiny


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.prepare(tmp_path_factory.mktemp("data"))


class Interrupted(Checkpoint):
    """Ctrl-C right after the second checkpoint."""

    def save(self, state: dict[str, Any]) -> None:
        super().save(state)
        if state["progress"]["step"] == 14:
            raise KeyboardInterrupt


def left(trained: train.Trained, out: Path) -> dict[str, Any]:
    """Every byte that a training leaves, but times."""
    files = {path.name: path.read_bytes() for path in sorted((out / "samples").iterdir())}
    weights = {name: tensor.numpy().tobytes() for name, tensor in trained.model.state_dict().items()}
    return files | weights | {"history": trained.history.train, "validation": trained.history.validation}


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": "[colour, translation, cutout]", "model__normalise": "batch", "loss": "non_saturating"},
        {
            "model__name": "residual",
            "model__normalise": "spectral",
            "penalty": "r1",
            "penalty_steps": 4,
            "loss": "hinge",
            "ema_decay": 0.0,
        },
        {
            "penalty": "interpolates",
            "penalty_steps": 1,
            "loss": "wasserstein",
            "discriminator_steps": 2,
            "epochs": 20.0,
        },
    ],
    ids=["batch norm", "spectral", "wasserstein"],
)
def test_an_interrupted_run_ends_with_the_same_bytes(prepared: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    chosen = tiny.params(**changes)
    straight = left(tiny.play(prepared, tmp_path / "straight", chosen), tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        tiny.play(prepared, tmp_path / "resumed", chosen, Interrupted)
    assert len(list((tmp_path / "resumed" / "samples").glob("*.png"))) < 4
    resumed = left(tiny.play(prepared, tmp_path / "resumed", chosen), tmp_path / "resumed")
    assert resumed == straight
    again = left(tiny.play(prepared, tmp_path / "resumed", chosen), tmp_path / "resumed")  # killed after the last step
    assert again == straight


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_samples_over_training_are_there_with_their_steps(prepared: Path, tmp_path: Path) -> None:
    tiny.play(prepared, tmp_path / "out", tiny.params())
    index = json.loads((tmp_path / "out/samples/index.json").read_text())
    assert [(entry["file"], entry["step"]) for entry in index] == [
        ("000.png", 15), ("001.png", 30), ("002.png", 45), ("003.png", 50)
    ]  # fmt: skip
    assert picture(tmp_path / "out/samples/003.png").shape == (8 * (tiny.SIDE + 1), 10 * (tiny.SIDE + 1))


def test_it_learns_which_bars_there_are(prepared: Path, tmp_path: Path) -> None:
    chosen = tiny.params(
        epochs=60.0, model__width=16, loss="non_saturating", model__normalise="none", penalty="r1", augment="[]",
        penalty_weight=0.1, penalty_steps=1, discriminator_lr=0.004, generator_lr=0.004, sample_epochs=60.0,
    )  # fmt: skip
    trained = tiny.play(prepared, tmp_path / "out", chosen)
    image = picture(tmp_path / "out/samples/000.png").reshape(8, tiny.SIDE + 1, 10, tiny.SIDE + 1)[:, :-1, :, :-1]
    images = image.transpose(0, 2, 1, 3).reshape(80, tiny.SIDE, tiny.SIDE).astype(float)
    lying = images.mean(1).std(1) > images.mean(2).std(1)  # columns differ more than rows
    assert (lying == (np.arange(80) % 2 == 0)).mean() > 0.9
    assert set(trained.history.validation[0]) == {"step", "epoch", "valid_logit", "train_logit"}


def test_of_several_steps_of_the_discriminator_the_mean_is_logged(prepared: Path, tmp_path: Path) -> None:
    several = {"discriminator_steps": 4, "epochs": 8.0}
    every, fourth = (
        tiny.play(prepared, tmp_path / str(steps), tiny.params(**several, penalty="r1", penalty_steps=steps))
        for steps in (1, 4)
    )
    first = [trained.history.train[0]["train_penalty"] for trained in (every, fourth)]
    assert 0.1 < first[1] / first[0] < 10  # of the last of the four alone it would be 0


def test_a_penalty_that_batch_norm_makes_meaningless_is_refused(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="interpolates"):
        tiny.play(prepared, tmp_path / "out", tiny.params(penalty="interpolates", model__normalise="batch"))


def test_the_discriminator_is_asked_about_all_classes_of_a_sorted_split() -> None:
    images, labels = np.zeros((2000, 1, 8, 8), np.uint8), np.repeat(np.arange(4), 500)
    asked = train._some(Split(images, labels, [""] * 2000), local())
    assert len(asked[0]) == train.ASKED_IMAGES
    assert asked[1].bincount().min() > 90


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("discriminator", Adversaries(lambda real, fake: fake / 0, LOSSES["hinge"].generator)),
        ("generator", Adversaries(LOSSES["hinge"].discriminator, lambda fake: fake * float("nan"))),
    ],
)
def test_a_loss_that_is_not_finite_names_step_and_network(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: Adversaries
) -> None:
    monkeypatch.setitem(LOSSES, "hinge", broken)
    with pytest.raises(UserError, match=f"the {name}'s loss of step 0 .epoch 0.00. is not a finite number") as caught:
        tiny.play(prepared, tmp_path / "out", tiny.params(loss="hinge"))
    assert f"lower train.{name}_lr" in caught.value.fix
    assert not (tmp_path / "out/last.pt").exists()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize(("penalty", "augment"), [("r1", "[]"), ("interpolates", "[colour, translation, cutout]")])
def test_penalties_stay_finite_in_short_precision(
    prepared: Path, tmp_path: Path, precision: str, penalty: str, augment: str
) -> None:
    chosen = tiny.params(
        precision=precision, epochs=4.0, penalty=penalty, penalty_steps=1, loss="hinge", augment=augment
    )
    rows = tiny.play(prepared, tmp_path / "out", chosen).history.train
    assert len(rows) == 20
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert all(row["train_penalty"] > 0 for row in rows)


def test_fp16_scales_each_network_by_itself_and_an_overflow_moves_nothing(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[dict[str, Any]] = []

    class Kept(Checkpoint):
        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            states.append(torch.load(self.path, weights_only=True))

    chosen = tiny.params(precision="fp16", epochs=2.0, loss="wasserstein", augment="[]")
    chosen = chosen.model_copy(update={"runtime": chosen.runtime.model_copy(update={"checkpoint_steps": 1})})
    huge = Adversaries(LOSSES["wasserstein"].discriminator, lambda fake: fake * 1e38)
    monkeypatch.setitem(LOSSES, "wasserstein", huge)
    tiny.play(prepared, tmp_path / "out", chosen, Kept)
    first, last = states[0], states[-1]
    assert last["generator"]["scaler"]["scale"] == 2.0**16 / 4 / 2**10  # every step was skipped
    assert int(last["average"]["n_averaged"]) == 0
    assert last["generator"]["optimizer"]["state"][0]["step"] == 0
    assert torch.equal(last["generator"]["network"]["stem.weight"], first["generator"]["network"]["stem.weight"])
    assert last["discriminator"]["scaler"]["scale"] > last["generator"]["scaler"]["scale"]
    assert last["discriminator"]["optimizer"]["state"][0]["step"] > 5
