from collections.abc import Callable, Mapping
from typing import TypeVar

_Operation = TypeVar("_Operation", bound=Node)
_Result = TypeVar("_Result")

class Namespace: ...

class Node:
    def find(self, operation: type[_Operation]) -> list[_Operation]: ...
    def map(self, function: Callable[..., _Result]) -> Mapping[Node, _Result]: ...

class PhysicalTable(Node): ...
class SQLQueryResult(Node): ...

class Literal(Node):
    value: object

class Field(Node):
    name: str
    rel: Node
