"""What Sphinx reads: pages from README, docs/, notebooks/ and docstrings, and files that go along as they are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from pgce_mini.site import landing, model, notebooks, reference, standing, teaching
from pgce_mini.site.markdown import Sections, with_links
from pgce_mini.site.pictures import live_results

GUIDES = ("plugs", "wrappers", "scale", "training-on-several-machines", "deploy", "speed")
IN_GUIDES = "own-training-run|step-by-step"
IN_STUDY = "studies|result"


class Sources:
    """The pages in `folder`, each with the file that it is made from; what is copied as it is lies in `extra`."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder, self.extra = home, folder, folder.parent / "extra"
        self.of_pages: dict[str, str] = {}
        """page -> its file in the repository"""
        self.readme = Sections((home / "README.md").read_text(encoding="utf-8"))
        self.start = next(iter(self.readme.pages))
        """the page about installing: README's first section"""

    def write(self) -> Iterator[str]:
        """Writes page after page and yields their names."""
        self.extra.mkdir(parents=True)
        self._copy_pictures()
        yield from self._readme()
        yield from self._documents()
        yield from self._notebooks()
        yield from self._reference()
        yield from self._handouts()
        yield from self._model()
        yield self._page("index", landing.page(self.readme, self.start, self._contents()), "README.md")

    def _page(self, name: str, text: str, source: str, suffix: str = ".md") -> str:
        path = self.folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.of_pages[name] = source
        return name

    def _copy_pictures(self) -> None:
        for kind in ("docs/**/*.svg", "docs/**/*.png", "notebooks/badges/*.svg"):
            for path in self.home.glob(kind):
                to = self.folder / path.relative_to(self.home)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to)
        shutil.copytree(self.home / "docs" / "study", self.extra / "pictures")

    def _readme(self) -> Iterator[str]:
        """A page a section, so that each has its place among the others."""
        for name, text in self.readme.pages.items():
            yield self._page(name, with_links(text, self.home, "README.md", self.readme.owner), "README.md")

    def _documents(self) -> Iterator[str]:
        for path in [
            *sorted((self.home / "docs").glob("*.md")),
            self.home / "CHANGELOG.md",
            self.home / "CONTRIBUTING.md",
        ]:
            name = str(path.relative_to(self.home).with_suffix(""))
            text = with_links(path.read_text(encoding="utf-8"), self.home, f"{name}.md", self.readme.owner)
            if name == "docs/study":
                text = live_results(text, self.home, teaching.evidence())
            yield self._page(name, text, f"{name}.md")

    def _notebooks(self) -> Iterator[str]:
        folder = self.home / "notebooks"
        for path in sorted([*folder.glob("[0-9]*.ipynb"), *folder.glob("solutions/[0-9]*.ipynb")]):
            name = str(path.relative_to(self.home).with_suffix(""))
            text = notebooks.with_live_pictures(path, self.home, self.extra / "pictures", self.readme.owner)
            yield self._page(name, text, f"{name}.ipynb", ".ipynb")
        solutions = sorted(Path(name).name for name in self.of_pages if name.startswith("notebooks/solutions/"))
        text = "# Solutions\n\nTry the exercises of a notebook first; each is explained here.\n\n" + _toc(
            solutions
        )
        yield self._page("notebooks/solutions/index", text, "notebooks/solutions")

    def _reference(self) -> Iterator[str]:
        for page in reference.pages():
            yield self._page(f"reference/{page.name}", page.text, page.source, ".rst")

    def _handouts(self) -> Iterator[str]:
        files, text = teaching.handouts(self.home)
        for name, content in files.items():
            (self.extra / name).write_text(standing.with_way_back(content), encoding="utf-8")
        (self.extra / "404.html").write_text(standing.not_found(), encoding="utf-8")
        (self.extra / ".nojekyll").touch()  # or GitHub Pages leaves out folders such as _static
        yield self._page("handouts", text, "app/handouts.py")

    def _model(self) -> Iterator[str]:
        """The page in which the shipped models run."""
        model.write_model_page_assets(self.extra / "tiny-gpts")
        text = f"# Tiny GPTs\n\n{model.fragment('tiny-gpts/')}"
        yield self._page("tiny-gpts", text, "pgce_mini/site/model")

    def _contents(self) -> dict[str, list[str]]:
        """Heading in the margin -> pages under it, in the order of previous and next."""
        left = list(self.readme.pages)

        def of_readme(pattern: str) -> list[str]:
            found = [name for name in left if re.search(pattern, name)]
            left[:] = [name for name in left if name not in found]
            return found

        written = set(self.of_pages)
        start, study, own = of_readme(f"^{self.start}$"), of_readme(IN_STUDY), of_readme(IN_GUIDES)
        contents = {
            "Start": [*start, "tiny-gpts"],
            "Course": sorted(n for n in written if re.match(r"notebooks/\d", n)),
            "Study": study + sorted(n for n in written if n.startswith("docs/study")),
            "Teaching": ["docs/teaching", "handouts"],
            "How to": own + [name for name in map("docs/{}".format, GUIDES) if name in written],
            "Reference": [f"reference/{page.name}" for page in reference.pages()],
        }
        placed = {name for names in contents.values() for name in names}
        others = sorted(n for n in written - placed - set(left) if not n.startswith("notebooks/solutions/"))
        # last, as Next would walk through all of them
        return contents | {"The project": [*left, *others, "notebooks/solutions/index"]}


def _toc(names: list[str]) -> str:
    return "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"
