class BaseBackend:
    name: str
