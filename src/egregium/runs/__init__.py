"""Runs that cannot be lost: atomic files, content-addressed tasks, worker processes, resume, verification."""
