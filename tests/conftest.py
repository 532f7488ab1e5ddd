"""What every test can count on: no clock decides, failures repeat, and pictures need no screen."""

import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("PYVISTA_OFF_SCREEN", "true")

settings.register_profile("study", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("study")
