"""Readers of real data: named data sets, arrays, image folders and archives, all into one `Dataset` of tensors."""

from egregium.data.catalog import fetch, names
from egregium.data.dataset import Dataset, load

__all__ = ["Dataset", "fetch", "load", "names"]
