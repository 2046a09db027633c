"""What runs the rows of a study."""
