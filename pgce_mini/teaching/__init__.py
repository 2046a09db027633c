"""What the course needs: exercises and judges, helpers for notebooks, models and GRPO read token by token."""
