"""What the course needs: exercises and their judges, helpers for notebooks, models read token by token."""
