"""Errors that a user can act on: each names the file, what was expected and what to do."""


class StudyError(Exception):
    """Base of every error this project raises on purpose."""


class InputError(StudyError, ValueError):
    """An input that cannot be used: the message names it, the expectation and the remedy."""


class AssetMissing(StudyError, FileNotFoundError):
    """A file that cannot be shipped and was not found: the message says where it is searched and how to get it."""
