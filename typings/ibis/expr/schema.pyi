from collections.abc import ItemsView

import pyarrow as pa
from ibis.expr.datatypes import DataType

class Schema:
    def items(self) -> ItemsView[str, DataType]: ...
    def to_pyarrow(self) -> pa.Schema: ...
