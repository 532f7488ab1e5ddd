"""What the notebooks call: models, losses, metrics, data and statistics of the study."""
