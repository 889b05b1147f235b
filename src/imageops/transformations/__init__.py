"""Transformations of images, one description of which serves measures and augmentation alike.

A description is a plain mapping, as the files of conf/transformation are::

    {family: rotation, degrees: 360, count: 16, corners: fill, fill: 0.0}

`transformation_set` makes the family's grid of it, `drawn` gives every image a random member.
"""

from src.imageops.transformations.drawing import RandomTransformation, drawn
from src.imageops.transformations.interpolation import interpolation_error
from src.imageops.transformations.sets import TransformationSet, transformation_set

__all__ = ["RandomTransformation", "TransformationSet", "drawn", "interpolation_error", "transformation_set"]
