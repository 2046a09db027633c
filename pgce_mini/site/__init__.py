"""The project as one folder of static pages, made from the files that are there: `pgce site`."""

from pgce_mini.site.build import build_site

__all__ = ["build_site"]
