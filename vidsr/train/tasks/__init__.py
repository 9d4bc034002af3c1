"""Tasks that a recipe can name, one file each: data, training step, validation."""
