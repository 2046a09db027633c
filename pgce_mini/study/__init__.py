"""Studies: arms x seeds, that may be stopped at any moment.

A specification (`spec`) names arms (`arms`) and makes rows (`rows`); an engine (`engines`) runs them and keeps two
tables (`tables`); `analysis` reads those. The public names stand in __init__.pyi; each is imported when it is
first used, so that reading a table loads no trainer.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
