"""Other people's stacks: a model goes out to transformers and comes back (`export`), the shaped losses go into its
`Trainer` (`hf`) and into TRL's trainers, with the tasks and their verifiers (`trl`).

No file here imports transformers or TRL: who uses them has them. docs/plugs.md shows each in use.
"""
