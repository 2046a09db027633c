"""Studies: arms x seeds, on this machine, that may be stopped at any moment.

`demo` compares arms in one setting and keeps run folders, for `pgce demo`. The full engine, `pgce study`, reads a
specification (`spec`), whose arms have names (`arms`), runs its rows (`rows`, `engine`) in worker processes
(`workers`) and keeps two tables (`tables`).
"""

from pgce_mini.study.demo import Cell, Results, StudyConfig, load_curves, load_results, run_study

__all__ = ["Cell", "Results", "StudyConfig", "load_curves", "load_results", "run_study"]
