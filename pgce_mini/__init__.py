"""Cross-entropy as a policy gradient: reward-shaped pre-training and GRPO, small enough to watch.

Read in this order: `reward` (what a token earns), `loss` (its exact gradient), `theory` (where training ends),
`gpt`, `tasks`, `training`, `evaluation`, `study`. The public names stand in __init__.pyi; each is imported when
it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
