"""What holds connections open until it is closed, as a context."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Base of clients: ``close`` ends them, and so does the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()
