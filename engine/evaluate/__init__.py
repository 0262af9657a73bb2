"""What a full evaluation has besides its loss: generation, and the metric that scores it."""
