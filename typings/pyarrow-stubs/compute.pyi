# pyarrow makes its compute functions at import, unseen by a type checker; it ships no stubs.
from typing import Any

def __getattr__(name: str) -> Any: ...  # noqa: ANN401
