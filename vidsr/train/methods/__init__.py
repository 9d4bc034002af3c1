"""Training methods that recipes combine: optimiser, equivariance, distillation, larger networks from smaller ones."""
