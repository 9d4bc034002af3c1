"""Training methods: optimizer, equivariance, distillation, Net2Net."""
