"""Arrow columns whose type is only known at run time.

pyarrow's stubs type each kernel by the scalar type of its arguments; where a column's type is read from a
file, there is none to give them.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import pyarrow.compute

compute: Any = pyarrow.compute
Array: TypeAlias = Any  # pyarrow.Array
ChunkedArray: TypeAlias = Any  # pyarrow.ChunkedArray
Table: TypeAlias = Any  # pyarrow.Table
