"""One file per system, rivals and parts included."""
