"""What helps in trying out and testing the library, shipped with it."""
