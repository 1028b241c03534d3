class DataType: ...

class Timestamp(DataType):
    timezone: str | None
    scale: int | None
