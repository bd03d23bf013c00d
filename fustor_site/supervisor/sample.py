"""A small sample tree to watch when no directory is given: enough to see a live view at once. Used by local_agent."""

from pathlib import Path

FILES = {
    "README.txt": "This tree is watched by Fustor. Create, change, rename or delete anything here and see it in the browser.\n",
    "projects/alpha/design.md": "# Alpha\n",
    "projects/alpha/results/run-001.csv": "step,loss\n1,0.9\n2,0.7\n",
    "projects/alpha/results/run-002.csv": "step,loss\n1,0.8\n2,0.5\n",
    "projects/beta/notes.txt": "Nothing yet.\n",
    "uploads/incoming/batch-17/part-0001.bin": "\0" * 4096,
    "uploads/incoming/batch-17/part-0002.bin": "\0" * 8192,
    "uploads/done/batch-16/manifest.json": '{"parts": 2}\n',
}


def make_sample_tree(directory: Path) -> Path:
    """The directory with its files. Files that a person changed or deleted since stay as they are."""
    if directory.exists():
        return directory
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory
