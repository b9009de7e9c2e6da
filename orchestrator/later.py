"""When what did not work is tried again: each time after twice as long. Known to this process only."""

from shared.clock import Clock

MOST = 10_000  # things remembered; beyond, what is due anyway is forgotten


class Later:
    """Pauses by key, from `first` seconds up to `longest`."""

    def __init__(self, clock: Clock, first: float, longest: float) -> None:
        self._clock = clock
        self._first = first
        self._longest = longest
        self._put_off: dict[str, tuple[float, float]] = {}  # key → due, pause

    def due(self, key: str) -> bool:
        """Whether it may be tried now."""
        return self._put_off.get(key, (0.0, 0.0))[0] <= self._clock.monotonic()

    def put_off(self, key: str) -> None:
        """It did not work just now."""
        pause = min(self._longest, 2 * self._put_off[key][1] if key in self._put_off else self._first)
        self._put_off[key] = (self._clock.monotonic() + pause, pause)
        if len(self._put_off) > MOST:
            self._put_off = {k: v for k, v in self._put_off.items() if not self.due(k)}

    def forget(self, key: str) -> None:
        """It is done."""
        self._put_off.pop(key, None)
