"""Seeds as a function of (seed, purpose), never of history.

The seed of each draw is a hash of its purpose, so any draw can be repeated alone: resuming needs no generator state,
and n processes draw the same numbers as one.
"""

import zlib

MASK = 0xFFFF_FFFF_FFFF_FFFF  # 64 bits
# Of splitmix64 (Steele et al. 2014)
GOLDEN = 0x9E37_79B9_7F4A_7C15
MIX_1, MIX_2 = 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB


def derive(seed: int, *keys: int | str) -> int:
    """A 63-bit seed for one purpose: `derive(seed, "order", epoch)`. Mixes with splitmix64 (Steele et al. 2014)."""
    state = seed & MASK
    for key in keys:
        number = zlib.crc32(key.encode()) if isinstance(key, str) else key
        state = (state ^ (number & MASK)) + GOLDEN & MASK
        state = (state ^ (state >> 30)) * MIX_1 & MASK
        state = (state ^ (state >> 27)) * MIX_2 & MASK
        state ^= state >> 31
    return state >> 1
