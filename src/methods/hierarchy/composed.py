"""The modules of a label tree as one network."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from src.methods.hierarchy.composition import GATED, Composition, compose, gate
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.views import Views


class ComposedNetwork(nn.Module):
    """Images (n, C, H, W) -> log-probabilities (n, N), float64.

    Under hard, top_m and beam a module runs on the images alone that reach it. The other rules are differentiable in
    all modules, so that a softly gated network can be fine-tuned as a whole.

    Args:
        tree: over N classes.
        modules: one per node; images, or what the trunk makes of them, to logits (n, children).
        composition: how their answers become one.
        trunk: what all modules share, or None.
        views: crops that each image is seen through, or None for the image as it is.
        preparation: runs first, on whole images, e.g. :class:`src.imageops.whitening.Whitening`.
        columns: per node the outputs of its module that are its children, in their order; None: all. For modules that
            answer for a whole level of the tree, as in the thesis: the other outputs are left out.

    Raises:
        UserError: settings of the composition do not fit the tree.
        ValueError: modules or columns are not one per node.
    """

    def __init__(
        self,
        tree: Tree,
        modules: Sequence[nn.Module],
        composition: Composition,
        *,
        trunk: nn.Module | None = None,
        views: Views | None = None,
        preparation: nn.Module | None = None,
        columns: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        composition.check(tree)
        if len(modules) != len(tree.nodes):
            raise ValueError(f"modules: {len(modules)} for a tree of {len(tree.nodes)} nodes")
        if columns is not None and [len(outputs) for outputs in columns] != [len(node.children) for node in tree.nodes]:
            raise ValueError("columns: not as many as each node has children")
        self.tree, self.composition, self.views = tree, composition, views
        self.columns = None if columns is None else [list(outputs) for outputs in columns]
        for node, outputs in enumerate(columns or ()):
            self.register_buffer(f"columns_{node}", torch.tensor(outputs), persistent=False)
        # what was fitted on images in memory joins modules that were trained on a GPU
        weights = next((weights for module in modules for weights in module.parameters()), None)
        self.preparation = preparation if preparation is None or weights is None else preparation.to(weights.device)
        self.trunk = trunk
        self.parts = nn.ModuleList(modules)

    def answers(self, images: Tensor) -> list[Tensor]:
        """Per node the logits (n, children) for all images, also for those that would not reach it.

        Of several crops: the logarithm of their mean probabilities; with ``route="crop"`` all of them,
        (n, T, children), which :func:`src.methods.hierarchy.composition.compose` composes one by one.
        """
        features = self._features(images)
        if self.composition.route == "crop" and len(features) > 1:
            return [self._crops(node, features).transpose(0, 1) for node in range(len(self.parts))]
        return [self._answer(node, features) for node in range(len(self.parts))]

    def forward(self, images: Tensor) -> Tensor:
        if self.composition.rule not in GATED:
            return compose(self.tree, self.answers(images), self.composition)
        features = self._features(images)
        crops, count = features.shape[:2]
        if self.composition.route == "image" or crops == 1:
            return self._gated(features)
        logs = self._gated(features.flatten(0, 1)[None])
        return logs.view(crops, count, -1).logsumexp(0) - math.log(crops)

    def _features(self, images: Tensor) -> Tensor:
        """(T, n, ...): what the modules take, of every crop."""
        seen = images if self.preparation is None else self.preparation(images)
        if self.views is not None:
            seen = self.views(seen)
        if self.trunk is not None:
            seen = self.trunk(seen)
        return seen.unflatten(0, (-1, len(images))) if len(images) else seen[None]

    def _crops(self, node: int, features: Tensor) -> Tensor:
        """A module's logits (T, n, children)."""
        logits = cast(Tensor, self.parts[node](features.flatten(0, 1)))
        if self.columns is not None:
            logits = logits[:, self.get_buffer(f"columns_{node}")]
        return logits.unflatten(0, tuple(features.shape[:2]))

    def _answer(self, node: int, features: Tensor) -> Tensor:
        """A module's logits (n, children), over the crops."""
        logits = self._crops(node, features)
        if len(logits) == 1:
            return logits[0]
        return logits.double().log_softmax(2).logsumexp(0) - math.log(len(logits))

    def _gated(self, features: Tensor) -> Tensor:
        """Log-probabilities (n, N) of features (T, n, ...)."""
        count = features.shape[1]

        def ask(node: int, rows: Tensor) -> Tensor:
            answer = self._answer(node, features if len(rows) == count else features[:, rows])
            return self.composition.tempered(node, answer).log_softmax(1)

        return gate(self.tree, ask, count, self.composition)
