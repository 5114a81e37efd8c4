"""Readers of real data: data sets by name, arrays, folders and archives as a `Dataset`; CausalCircuit as pairs of pictures."""

from egregium.data.catalog import fetch, names
from egregium.data.causal_circuit import ImagePairs, causal_circuit
from egregium.data.dataset import Dataset, load

__all__ = ["Dataset", "ImagePairs", "causal_circuit", "fetch", "load", "names"]
