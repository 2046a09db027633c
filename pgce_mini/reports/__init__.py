"""Pages made of figures and tables."""
