"""Batched operations on images, on whatever device they are."""
