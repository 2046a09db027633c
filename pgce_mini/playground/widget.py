"""The playground in a notebook: every part of its state is a trait, in step with what is seen."""

from __future__ import annotations

import functools
from dataclasses import asdict, fields
from typing import Any

from pgce_mini.installation import install_hint
from pgce_mini.playground.page import javascript
from pgce_mini.playground.state import PlaygroundState
from pgce_mini.theory import FloatArray

NAMES = [field.name for field in fields(PlaygroundState)]


@functools.cache
def playground_class() -> type:
    """The class `Playground`, made at its first use because it is derived from anywidget's.

    Raises:
        ImportError: when anywidget is not installed.
    """
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise ImportError(
            f"Playground needs anywidget, which is not installed: {install_hint('notebooks')}"
        ) from None

    class Refused(traitlets.TraitError, ValueError):  # the first makes traitlets roll back
        """A value that makes no sense."""

    kinds = {bool: traitlets.Bool, int: traitlets.Int, float: traitlets.Float, str: traitlets.Unicode}

    def trait(value: Any) -> Any:
        """Of the kind of a value; what is in a list is checked by `PlaygroundState`."""
        return kinds[type(value)]() if type(value) in kinds else traitlets.List(allow_none=value is None)

    class Playground(anywidget.AnyWidget):
        """One state of the shaped loss, to be dragged: `Playground(beta=-0.25)`, then `widget.beta = 0.5`.

        Takes the fields of `PlaygroundState` by name; each is a trait that can be read, set and observed. What
        has to change together does so in `update`, as in `widget.update(**preset("flat", 20))`.

        Raises:
            ValueError: naming the argument, when a value makes no sense.
        """

        _esm = javascript()
        _state_names = traitlets.List(traitlets.Unicode(), NAMES).tag(sync=True)
        locals().update({name: trait(value).tag(sync=True) for name, value in asdict(PlaygroundState()).items()})

        def __init__(self, **settings: Any) -> None:
            super().__init__(**_plain(PlaygroundState(**settings)))

        def update(self, **changes: Any) -> None:
            """Sets several traits at once."""
            plain = _plain(PlaygroundState(**{**self._values(), **changes}))
            with self.hold_sync(), self.hold_trait_notifications():
                for name in changes:
                    setattr(self, name, plain[name])

        @property
        def state(self) -> PlaygroundState:
            """What is shown now."""
            return PlaygroundState(**self._values())

        @property
        def policy(self) -> FloatArray:
            """The policy that is shown, computed by the library. (V,)"""
            return self.state.policy()

        def __repr__(self) -> str:
            usual = _plain(PlaygroundState())
            changed = {name: value for name, value in self._values().items() if value != usual[name]}
            return f"Playground({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

        def _values(self) -> dict[str, Any]:
            return {name: getattr(self, name) for name in NAMES}

        @traitlets.validate(*NAMES)
        def _checked(self, proposal: Any) -> Any:
            name = proposal["trait"].name
            try:
                return _plain(PlaygroundState(**{**self._values(), name: proposal["value"]}))[name]
            except ValueError as error:
                raise Refused(str(error)) from None

    return Playground


def _plain(state: PlaygroundState) -> dict[str, Any]:
    """Lists in the place of tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(state).items()}
