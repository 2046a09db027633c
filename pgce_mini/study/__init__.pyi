from .arms import EXAMPLES as EXAMPLES, NAMED as NAMED, Arm as Arm, arm_named as arm_named
from .demo import (
    Results as Results,
    StudyConfig as StudyConfig,
    load_curves as load_curves,
    load_results as load_results,
    run_study as run_study,
)
from .engines.local import check_row as check_row, run_spec as run_spec
from .engines.on_ray import run_on_ray as run_on_ray
from .engines.shards import Shard as Shard, gather as gather, run_shard as run_shard
from .inventory import STATES as STATES, StudyState as StudyState, inventory as inventory
from .predicted import AtRest as AtRest
from .rows import RL_STEP_WORK as RL_STEP_WORK, Row as Row, lines_of as lines_of
from .spec import SpecError as SpecError, load_spec as load_spec
from .store import StudyStore as StudyStore, StudyTable as StudyTable
from .summary import as_lines as as_lines
from .tables import (
    Columns as Columns,
    Curve as Curve,
    Key as Key,
    key_of as key_of,
    read_curves as read_curves,
    read_rows as read_rows,
    write_curves as write_curves,
    write_rows as write_rows,
)
from .templates import Spec as Spec, Templates as Templates
