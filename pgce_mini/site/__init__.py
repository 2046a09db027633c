"""The site: one folder of static files, made from what the project already has."""
