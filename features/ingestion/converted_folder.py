"""The folder of converted tables: a folder for each content, locked while it is written or read, and removed."""

from pathlib import Path

from configs.files import locked_folder, remove_folder


def converted_files(folder: Path) -> list[Path]:
    """The files of all converted tables."""
    return sorted(folder.glob("*/*.parquet"))


def remove_conversions(folder: Path) -> None:
    """Remove all converted tables, even while another process reads them; the next command converts again."""
    with locked_folder(folder):
        for path in filter(Path.is_dir, folder.iterdir()):
            remove_folder(path)
