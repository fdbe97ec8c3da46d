//! RTP's wrapping counters, widened at the door.
//!
//! A sequence number is 16 bits and wraps every 22 minutes at 50 packets a second; a timestamp is 32 bits. Everything
//! inside counts in `u64`, so that "later" is `>` and nothing else. RFC 3550 A.1.

/// Widens one stream's 16-bit sequence numbers. One per SSRC.
#[derive(Debug, Clone, Default)]
pub struct WideSequence(Option<u64>);

/// Widens one stream's 32-bit timestamps. One per SSRC.
#[derive(Debug, Clone, Default)]
pub struct WideTimestamp(Option<u64>);

impl WideSequence {
    /// The `u64` nearest to the highest seen so far whose low 16 bits are `low`. The first one starts one turn up, so
    /// that packets from before it still have a number.
    pub fn widen(&mut self, low: u16) -> u64 {
        widen(&mut self.0, u64::from(low), 16)
    }
}

impl WideTimestamp {
    /// As [`WideSequence::widen`], for 32 bits.
    pub fn widen(&mut self, low: u32) -> u64 {
        widen(&mut self.0, u64::from(low), 32)
    }
}

fn widen(highest: &mut Option<u64>, low: u64, bits: u32) -> u64 {
    let turn = 1_u64 << bits;
    let Some(top) = *highest else {
        *highest = Some(turn + low);
        return turn + low;
    };
    let same = (top & !(turn - 1)) + low;
    let half = turn / 2;
    let wide = if same + half < top {
        same + turn
    } else if same > top + half && same >= turn {
        same - turn
    } else {
        same
    };
    *highest = Some(top.max(wide));
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrap_goes_up_and_a_late_one_goes_back() {
        let mut w = WideSequence::default();
        let base = 1 << 16;
        assert_eq!(w.widen(65_534), base + 65_534);
        assert_eq!(w.widen(1), base + 65_537);
        assert_eq!(w.widen(65_535), base + 65_535);
        assert_eq!(w.widen(2), base + 65_538);
        let mut first_is_late = WideSequence::default();
        assert_eq!(first_is_late.widen(0), base);
        assert_eq!(first_is_late.widen(65_535), base - 1);
    }

    #[test]
    fn timestamps_wrap_too() {
        let mut w = WideTimestamp::default();
        let a = w.widen(u32::MAX - 79);
        assert_eq!(w.widen(80), a + 160);
    }

    #[test]
    fn a_million_steps_never_lose_count() {
        let mut w = WideSequence::default();
        let first = w.widen(0);
        for n in 1..200_000_u64 {
            assert_eq!(w.widen((n & 0xffff) as u16), first + n);
        }
    }
}
