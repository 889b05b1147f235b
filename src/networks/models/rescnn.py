"""ResCNN: the residual networks of CNNSplitter (Qi et al., ASE 2022), and their weak versions.

The sum comes after the ReLU and no ReLU follows it; torch's own initialisation. Options as in ``simcnn``.
"""

from __future__ import annotations

from dataclasses import replace

from src.networks.models.layout import Layout, register_family

STRONG = Layout(
    (
        *(64, 128, "P", "keep", 128, 128, "add", 256, "P", 512, "P", "keep", 512, 512, "add"),
        *(512, "P", 512, "P", "keep", 512, 512, "add"),
    ),
    dropout=0.4,
)
WEAK = Layout((64, "P", "keep", 64, 64, "add", 64, "P"), dropout=0.4)
SVHN_WEAK = Layout((8, "P", "keep", 8, 8, "add", "P"), kernel_size=5, padding=2)
POOR_FIT = replace(STRONG, dropout=0.0)


register_family(
    {
        "rescnn": STRONG,  # 12 convolutions, 4,288 kernels; sums into the outputs of convolutions 3, 7 and 11
        "rescnn_weak": WEAK,  # the simple CIFAR network that is patched
        "rescnn_svhn_weak": SVHN_WEAK,  # three convolutions: the original's fourth is never used
        "rescnn_poor_fit": POOR_FIT,  # trained too long it overfits, stopped early it underfits
    }
)
