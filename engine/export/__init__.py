"""A run for other tools: TensorBoard, Weights & Biases, trackio, CSV."""
