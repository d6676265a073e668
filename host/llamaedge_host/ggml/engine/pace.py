"""How fast a model reads prompts, makes tokens, and lets its caches be copied, as was measured.

On a CPU the cells of a token are copied in a hundredth of the time that computing them takes or
less. A GPU may compute them sooner than they cross over to the computer's memory, and while they
cross, nothing is computed.
"""

SHARED_STEP = 0.8
"""Seconds that prompts may take of a step in which others decode: while prompts are read, fewer
decode, and each token costs more."""
LONE_STEP = 1.0
"""Seconds that a step of prompts alone may take: what a cancelled one still costs."""
LEAST_PROMPT = 16
"""Tokens of prompts in a step at least, and what their number is a multiple of."""
FIRST_RATE = 200.0
"""Tokens of prompts a second, until that is measured."""
LITTLE = 4 << 20
"""Bytes that are copied without a thought."""
MOVED_FOR = 32
"""Steps that moving a sequence to others may take: it saves a part of each one from then on."""
_LEARNING = 0.2
_SLOWER = 1.1
"""How many times as long as was thought copying may take at once: a single one may be disturbed."""
_FADING = 0.9
"""The part of the fastest rate that is believed after each slower step."""
_DOUBT = 0.9
"""The part of that time which is believed after each copy that was not made for it."""


class Pace:
    """Of one engine. For its thread alone."""

    def __init__(self) -> None:
        self.rate = FIRST_RATE
        """Tokens of prompts a second."""
        self._best = 0.0
        """The same of the fastest step lately: of a long prompt, or what each token more takes."""
        self.step = 0.0
        """Seconds of a step in which all decode."""
        self.any_step = 0.0
        """Seconds of a step, whatever is in it."""
        self._byte = 0.0
        """Seconds of copying a byte, 0 until that is measured."""

    def read(self, tokens: int, seconds: float) -> None:
        """A step took so many ``seconds``, with so many ``tokens`` of prompts."""
        self.any_step += (seconds - self.any_step) * (_LEARNING if self.any_step else 1)
        if tokens >= LEAST_PROMPT:
            now = tokens / seconds
            self.rate += (now - self.rate) / 2
            self._best = max(now, self._best * _FADING)

    def decoded(self, seconds: float) -> None:
        """A step without prompts took so many ``seconds``."""
        self.step += (seconds - self.step) * (_LEARNING if self.step else 1)

    def copied(self, size: int, seconds: float) -> None:
        """A cache of ``size`` bytes was copied out of the context in so many ``seconds``."""
        if size >= LITTLE:
            self._byte = min(seconds / size, _SLOWER * self._byte or seconds / size)

    def prompt_rows(self, *, decoding: bool) -> int:
        """Tokens of prompts that a step takes, by the time that they are likely to take."""
        seconds = SHARED_STEP if decoding else LONE_STEP
        return max(int(self.rate * seconds) // LEAST_PROMPT, 1) * LEAST_PROMPT

    def copying(self, size: int) -> float:
        """Tokens of prompts that could be read while ``size`` bytes are copied once."""
        return self._seconds(size) * self._best

    def pays(self, size: int, tokens: int) -> bool:
        """Whether to copy ``size`` bytes out, rather than read ``tokens`` again.

        As if one in two is asked for again, and copied back in then.
        """
        if 3 * self.copying(size) <= tokens:
            return True
        self._byte *= _DOUBT
        return False

    def may_move(self, size: int) -> bool:
        """Whether ``size`` bytes may be copied out and back in for sequences to be neighbours."""
        return 2 * self._seconds(size) <= MOVED_FOR * self.step

    def _seconds(self, size: int) -> float:
        return size * self._byte if size >= LITTLE else 0.0
