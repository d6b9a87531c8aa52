"""`python -m tests.docs`: write docs/reference anew."""

from __future__ import annotations

from tests.docs.reference import FOLDER, pages


def main() -> None:
    """Write every page, and remove those that are not made any more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"written: {len(made)} pages in {FOLDER}")


if __name__ == "__main__":
    main()
