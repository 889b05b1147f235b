"""Transformations of images, one description of which serves measures and augmentation alike.

A description is a plain mapping, as the files of conf/transformation are::

    {family: rotation, degrees: 360, count: 16, corners: fill, fill: 0.0}

`transformation_set` makes the family's grid of it, `RandomTransformation` gives every image a random member.
"""

from src.imageops.transformations.sets import (
    RandomTransformation,
    TransformationSet,
    interpolation_error,
    transformation_set,
)

__all__ = ["RandomTransformation", "TransformationSet", "interpolation_error", "transformation_set"]
