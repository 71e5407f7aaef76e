"""As much of a terminal as the screen uses: positions, erasing, colours that are on. Refuses to wrap a line."""

from __future__ import annotations

import re

from upgrader.views.page import cells

_TOKEN = re.compile(r"\x1b\[\??([0-9;]*)([A-Za-z])|([^\x1b])", re.S)


class Terminal:
    """What stands on it after all that it was fed."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.row = self.column = 0
        self.colour = ""
        self.commands = ""
        """Letters of the commands so far."""
        self._erase()

    def feed(self, text: str) -> None:
        for numbers, command, char in _TOKEN.findall(text):
            self.commands += command
            if char == "\r":
                self.column = 0
            elif char == "\n":
                self.row = min(self.row + 1, self.height - 1)
            elif char:
                self._put(char)
            elif command == "H":
                row, _, column = numbers.partition(";")
                self.row, self.column = int(row) - 1, int(column) - 1
                assert self.row < self.height, "below the screen"
            elif command == "K":
                for column in range(self.column, self.width):
                    self.rows[self.row][column] = (" ", "")
            elif command == "J":
                self._erase()
            elif command == "m":
                self.colour = numbers
            else:
                assert command in "hl", command

    def text(self) -> list[str]:
        return ["".join(char for char, _ in row).rstrip() for row in self.rows]

    def _erase(self) -> None:
        self.rows = [[(" ", "")] * self.width for _ in range(self.height)]

    def _put(self, char: str) -> None:
        assert self.column + cells(char) <= self.width, "it would wrap"
        self.rows[self.row][self.column] = (char, self.colour)
        if cells(char) == 2:
            self.rows[self.row][self.column + 1] = ("", self.colour)
        self.column += cells(char)
