"""Whether a real device does what the simulated one of the tests promises."""

from __future__ import annotations

from tests.gpu.onsite import Site
from tests.simulated_cuda.contract import PROMISES, a_broken_context_stays_broken, held, read_beyond_the_end


def run(site: Site) -> None:
    """Every promise; the last one breaks the context."""
    broken = {promise.__name__: why for promise in PROMISES if (why := held(promise))}
    site.figures(promises=len(PROMISES), not_kept=broken)
    site.claim("kept", not broken, "; ".join(f"{name}: {why}" for name, why in broken.items()) or f"{len(PROMISES)}")
    why = held(lambda: a_broken_context_stays_broken(lambda: break_it(site)))
    site.claim("stays_broken", not why, why or "every call raises")


def break_it(site: Site) -> None:
    """An index beyond the end; the simulated device is told to be broken."""
    if site.simulated is not None:
        site.simulated.poison()
    else:
        read_beyond_the_end()
