"""Dropout whose masks are drawn for a whole batch at once, so that they do not depend on the size of a pass."""

from torch import Tensor, nn

from src.training.ghost_norm import Rows


class BatchDropout(nn.Dropout):
    """Draws the mask of all images of an optimiser step and applies the rows of those that pass now."""

    rows: Rows
    drawn: tuple[int, Tensor] | None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        rows = self.rows
        if self.drawn is None or self.drawn[0] != rows.steps:
            live = getattr(self, "live", x.shape[1])  # channels that a padded network computes with
            mask = x.new_zeros((rows.whole, *x.shape[1:]))
            mask[:, :live] = x.new_empty((rows.whole, live, *x.shape[2:])).bernoulli_(1 - self.p)
            self.drawn = (rows.steps, mask)
        mask = self.drawn[1][rows.first : rows.first + len(x)]
        return (x * mask).mul_(1 / (1 - self.p))


def follow_dropout(model: nn.Module, rows: Rows) -> None:
    """Turn the dropouts of ``model`` into ones at the rows of ``rows``."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = BatchDropout
            module.rows, module.drawn = rows, None  # type: ignore[assignment]
