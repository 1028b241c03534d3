class DataType:
    def is_integer(self) -> bool: ...
    def is_string(self) -> bool: ...

int64: DataType
string: DataType

class Array(DataType):
    def __init__(self, value_type: DataType) -> None: ...

class Timestamp(DataType):
    timezone: str | None
    scale: int | None
    def __init__(self, *, timezone: str | None = ..., scale: int | None = ...) -> None: ...
