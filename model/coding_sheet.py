"""Spreadsheets of coded micro-expressions: where the header is, what its columns are called, what its cells mean."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from app.errors import DataError

# Names seen in the released files, compared without capitals, spaces, underscores and apostrophes; the first one wins.
COLUMNS: dict[str, tuple[str, ...]] = {
    "subject": ("subject", "sub", "subid"),
    "clip": ("filename", "foldname", "count", "seq"),
    "onset": ("onsetframe", "onset", "onsetf"),
    "apex": ("apexframe", "apex", "apexf1", "apexf"),
    "offset": ("offsetframe", "offset", "offsetf"),
    "label": ("estimatedemotion", "emotion", "label"),
    "action_units": ("actionunits", "au", "aus"),
    "kind": ("expressiontype", "type", "micro"),
}
_SPELLINGS = {"other": "others", "happy": "happiness", "sad": "sadness"}
_MISSING = {"", "/", "-", "nan", "none", "null"}


def canonical_emotion(text: str) -> str:
    """One spelling for each emotion: lower case, `others`, `happiness`, `sadness`; combinations as `a+b`."""
    parts = [part.strip() for part in re.split(r"[+,/]", text.lower()) if part.strip()]
    return "+".join(_SPELLINGS.get(part, part) for part in parts)


def cell_text(cell: Any) -> str:
    """Text of a cell; a whole number has no decimals, though every number in a sheet is a float."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell).strip()


def cell_frame(cell: Any) -> int | None:
    """Frame number in a cell, rounded; None for a blank, a slash or anything else that is no number."""
    text = cell_text(cell)
    if text.lower() in _MISSING:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return round(number) if math.isfinite(number) else None


def subject_number(cell: Any) -> str | None:
    """Person's number without padding: "6" of `006`, `sub06`, `spNO.6` and 6.0; None without digits."""
    digits = re.search(r"[0-9]+", cell_text(cell))
    return str(int(digits.group())) if digits else None


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row below the header: `number` counts from 0 there, `line` from 1 in the sheet; `cells` by COLUMNS' keys."""

    number: int
    line: int
    cells: dict[str, Any]


def read_workbook(path: Path) -> dict[str, list[list[Any]]]:
    """Cells of every sheet of an .xlsx or .xls file, by name, in the file's order.

    Raises:
        DataError: the file is missing, damaged or of another type.
    """
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            # With blank rows and columns: corrections name rows by number.
            return {
                name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in workbook.sheet_names
            }
    except (CalamineError, OSError) as error:
        raise DataError(f"{path} cannot be read as a spreadsheet ({error}). Copy it anew from the release.") from None


def read_sheet(path: Path, required: Collection[str], preferred: str = "") -> list[SheetRow]:
    """Rows of the first sheet that has a header: a row with a subject and an onset column, wherever it is.

    Args:
        required: keys of COLUMNS that must be there.
        preferred: a sheet to look at first, when there is one of that name.

    Raises:
        DataError: the file cannot be read, or has no header or not all columns.
    """
    sheets = read_workbook(path)
    for _, rows in sorted(sheets.items(), key=lambda sheet: sheet[0].casefold() != preferred.casefold()):
        header = next((i for i, row in enumerate(rows) if {"subject", "onset"} <= _columns(row).keys()), None)
        if header is None:
            continue
        columns = _columns(rows[header])
        if missing := sorted(set(required) - columns.keys()):
            names = ", ".join(cell_text(cell) for cell in rows[header] if cell_text(cell))
            raise DataError(
                f"{path} has no column for {', '.join(missing)}. Its header in row {header + 1} is: {names}."
            )
        return [
            SheetRow(i - header - 1, i + 1, {field: row[column] for field, column in columns.items()})
            for i, row in enumerate(rows[header + 1 :], header + 1)
        ]
    raise DataError(f"{path} has no header: no row of its sheets ({', '.join(sheets)}) names a subject and an onset.")


def _columns(row: Sequence[Any]) -> dict[str, int]:
    """Position of each field in a header; empty or partial for any other row."""
    names = [re.sub(r"[\s_'’]", "", cell_text(cell)).lower() for cell in row]  # noqa: RUF001 - Excel curls apostrophes
    found = {field: [names.index(name) for name in known if name in names] for field, known in COLUMNS.items()}
    return {field: positions[0] for field, positions in found.items() if positions}
