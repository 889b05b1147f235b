"""SimCNN and ResCNN: the networks of CNNSplitter (Qi et al., ASE 2022), and their weak versions.

Of ResCNN the sum comes after the ReLU and no ReLU follows it.
"""

from collections.abc import Sequence
from dataclasses import replace

from src.networks.models.layout import ConvolutionalNetwork, Layout
from src.networks.options import LayoutOptions

SIMCNN = Layout(  # like VGG-16; dropout before the first two of three linear layers
    (64, 64, "P", 128, 128, "P", 256, 256, 256, "P", 512, 512, 512, "P", 512, 512, 512, "P"),
    hidden=(512, 512),
    dropout=0.5,
    he_init=True,
)
RESCNN = Layout(  # sums into the outputs of convolutions 3, 7 and 11
    (
        *(64, 128, "P", "keep", 128, 128, "add", 256, "P", 512, "P", "keep", 512, 512, "add"),
        *(512, "P", 512, "P", "keep", 512, 512, "add"),
    ),
    dropout=0.4,
)

#: Those whose initialisation is not stated have torch's own. ``weak``: the simple networks that are patched;
#: ``poor_fit``: trained too long they overfit, stopped early they underfit.
CNNSPLITTER = {
    "simcnn": SIMCNN,
    "simcnn_weak": Layout((64, "P", 64, "P", 64, "P", 64, "P"), he_init=True),
    "simcnn_svhn_weak": Layout((8, "P", 8, "P"), kernel_size=5, padding=0),
    "simcnn_poor_fit": replace(SIMCNN, dropout=0.0),
    "rescnn": RESCNN,
    "rescnn_weak": Layout((64, "P", "keep", 64, 64, "add", 64, "P"), dropout=0.4),
    # three convolutions: the original's fourth is never used
    "rescnn_svhn_weak": Layout((8, "P", "keep", 8, 8, "add", "P"), kernel_size=5, padding=2),
    "rescnn_poor_fit": replace(RESCNN, dropout=0.0),
}


def cnnsplitter(name: str, options: LayoutOptions, classes: int, input_shape: Sequence[int]) -> ConvolutionalNetwork:
    """One of ``CNNSPLITTER``."""
    layout = CNNSPLITTER[name].sized(options.width, options.pools)
    if options.dropout is not None:
        layout = replace(layout, dropout=options.dropout)
    return ConvolutionalNetwork(layout, classes, input_shape, options.batch_norm, name)
