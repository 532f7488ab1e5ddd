"""One file per paper: which systems are trained, on what, and what is measured."""
