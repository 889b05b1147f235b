"""SimCNN: the VGG16-like networks of CNNSplitter (Qi et al., ASE 2022), and their weak versions.

Common options: ``width`` multiplies all kernel counts and hidden linear sizes (rounded, at least 1; the outputs and
the depth stay); ``batch_norm`` puts a batch norm between each convolution and its ReLU; ``dropout`` replaces the
family's rate; ``pools`` lists the convolutions followed by a max-pool, for images too small for all pools.
"""

from __future__ import annotations

from dataclasses import replace

from src.networks.models.layout import Layout, register_family

STRONG = Layout(
    (64, 64, "P", 128, 128, "P", 256, 256, 256, "P", 512, 512, 512, "P", 512, 512, 512, "P"),
    hidden=(512, 512),
    dropout=0.5,
    he_init=True,
)
WEAK = Layout((64, "P", 64, "P", 64, "P", 64, "P"), he_init=True)
SVHN_WEAK = Layout((8, "P", 8, "P"), kernel_size=5, padding=0)
POOR_FIT = replace(STRONG, dropout=0.0)


register_family(
    {
        "simcnn": STRONG,  # 13 convolutions, 4,224 kernels; dropout before the first two of three linear layers
        "simcnn_weak": WEAK,  # the simple CIFAR network that is patched
        "simcnn_svhn_weak": SVHN_WEAK,  # its initialisation is not stated: torch's own
        "simcnn_poor_fit": POOR_FIT,  # trained too long it overfits, stopped early it underfits
    }
)
