"""Other people's stacks: models go out to transformers and come back (`export`), the shaped losses into its `Trainer`
(`hf`) and TRL's (`trl`), the tasks with a verifier into TRL's `GRPOTrainer` (`trl`).

No module here imports transformers or TRL: what they call is here, and who calls it has them. docs/plugs.md shows
each in use.
"""
