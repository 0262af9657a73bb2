"""One trainer for trials and training: transformers.Trainer with the meter inside."""
