"""Its constructor fails."""


class Unmade:
    def __init__(self) -> None:
        raise RuntimeError("planted")
