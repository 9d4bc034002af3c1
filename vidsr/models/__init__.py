"""Networks and their weights: one file per architecture, one safetensors file per name, domain and scale."""

from vidsr.models.model import Model, available_scales, from_file, list_models, load_model
from vidsr.models.weight_files import ARCHITECTURES, build_network

__all__ = ["ARCHITECTURES", "Model", "available_scales", "build_network", "from_file", "list_models", "load_model"]
