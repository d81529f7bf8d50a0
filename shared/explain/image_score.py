"""The figures of score.py for images.

N images, C channels, H height, W width, K classes.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from shared.core.seed import derive
from shared.explain import faithfulness
from shared.explain.attribution import attribute
from shared.explain.score import Curves, Explained, Metrics


@dataclass(frozen=True)
class ImageScene:
    """Images and what is asked about them: images, baselines (N, C, H, W), targets (N,), evidence (N, H, W) or None;
    extra: (N, ...) each, what the model takes beside the images.
    """

    images: Tensor
    baselines: Tensor
    targets: Tensor
    evidence: Tensor | None
    extra: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | Tensor) -> "ImageScene":
        evidence = None if self.evidence is None else self.evidence[rows]
        extra = tuple(part[rows] for part in self.extra)
        return ImageScene(self.images[rows], self.baselines[rows], self.targets[rows], evidence, extra)

    def random_maps(self, seed: int) -> Tensor:
        count, _, height, width = self.images.shape
        return faithfulness.random_maps(count, height, width, seed=seed).to(self.images)

    def curves(self, model: nn.Module, maps: Tensor, seed: int) -> Curves:
        ranks = faithfulness.removal_ranks(maps, seed)[:, None]
        return Curves(
            faithfulness.curve(model, self.targets, self.images, self.baselines, ranks, *self.extra),
            faithfulness.curve(model, self.targets, self.baselines, self.images, ranks, *self.extra),
        )

    def infidelity(self, model: nn.Module, maps: Tensor, seed: int) -> float:
        return faithfulness.infidelity(model, self.images, self.baselines, self.targets, maps, seed, *self.extra)

    def completeness(self, model: nn.Module, delta: Tensor) -> Metrics:
        image, baseline = (
            faithfulness.target_logits(model, pictures, self.targets, *self.extra)
            for pictures in (self.images, self.baselines)
        )
        return {"completeness_error": faithfulness.completeness(delta, image - baseline)}

    def similarity(self, maps: Tensor, others: Tensor) -> float:
        return faithfulness.similarity(maps, others)


class ImageExplainer:
    """`explainer(method, scene)`: the attribution of one model's targets, by any method.

    Args:
        model: in eval mode; (N, C, H, W) and the scene's extra -> (N, K) logits.
        layer: name of the module that Grad-CAM looks at.
        seed: of everything that is drawn.
    """

    def __init__(self, model: nn.Module, layer: str, seed: int) -> None:
        self.model, self.layer, self.seed = model, layer, seed

    def __call__(self, method: str, scene: ImageScene) -> Explained:
        seed = derive(self.seed, "attribution")
        attribution = attribute(
            method,
            self.model,
            scene.images,
            scene.targets,
            baselines=scene.baselines,
            extra=scene.extra,
            layer=self.layer,
            seed=seed,
        )
        return Explained(attribution.maps, attribution.delta)

    def of_randomised(self, scene: ImageScene, count: int) -> "list[ImageExplainer]":
        seeds = [derive(self.seed, "randomised", number) for number in range(count)]
        models = (faithfulness.randomise(self.model, scene.images, seed, *scene.extra) for seed in seeds)
        return [ImageExplainer(model, self.layer, self.seed) for model in models]

    def sensitivity(self, method: str, scene: ImageScene) -> Metrics:
        def maps(images: Tensor, baselines: Tensor, targets: Tensor, *extra: Tensor) -> Tensor:
            return self(method, ImageScene(images, baselines, targets, None, extra)).maps

        error = faithfulness.sensitivity(maps, scene.images, scene.baselines, scene.targets, self.seed, *scene.extra)
        return {"sensitivity_error": error}
