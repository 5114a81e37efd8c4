"""What survives retraining, and how much of it: scope, studies over many trainings, and their statistics."""
