//! G.711: the phone network's companding, both laws. One byte a sample at 8 kHz. ITU-T G.711 (11/88).

use serde::{Deserialize, Serialize};

/// Which companding law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum G711 {
    /// µ-law, RTP payload type 0, SDP `PCMU/8000`: North America and Japan.
    Pcmu,
    /// A-law, RTP payload type 8, SDP `PCMA/8000`: everywhere else.
    Pcma,
}

impl G711 {
    /// The static RTP payload type, RFC 3551 table 4.
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The encoding name in SDP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The byte that means no sound.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xff,
            Self::Pcma => 0xd5,
        }
    }

    /// One sample, 16-bit full scale.
    #[must_use]
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Pcmu => ULAW[usize::from(byte)],
            Self::Pcma => ALAW[usize::from(byte)],
        }
    }

    /// One sample, 16-bit full scale; what is above the law's range clips.
    #[must_use]
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => encode_ulaw(sample),
            Self::Pcma => encode_alaw(sample),
        }
    }

    /// Appends the samples of `bytes` to `pcm`.
    pub fn decode_into(self, bytes: &[u8], pcm: &mut Vec<i16>) {
        pcm.extend(bytes.iter().map(|b| self.decode(*b)));
    }

    /// Appends the bytes of `pcm` to `bytes`.
    pub fn encode_into(self, pcm: &[i16], bytes: &mut Vec<u8>) {
        bytes.extend(pcm.iter().map(|s| self.encode(*s)));
    }
}

static ULAW: [i16; 256] = table(true);
static ALAW: [i16; 256] = table(false);

const fn table(ulaw: bool) -> [i16; 256] {
    let mut out = [0_i16; 256];
    let mut n = 0;
    while n < 256 {
        out[n] = if ulaw { decode_ulaw(n as u8) } else { decode_alaw(n as u8) };
        n += 1;
    }
    out
}

const BIAS: i32 = 0x84;

const fn decode_ulaw(byte: u8) -> i16 {
    let u = !byte as i32;
    let magnitude = (((u & 0x0f) << 3) + BIAS) << ((u & 0x70) >> 4);
    (if u & 0x80 != 0 { BIAS - magnitude } else { magnitude - BIAS }) as i16
}

const fn encode_ulaw(sample: i16) -> u8 {
    let wide = sample as i32;
    let sign = if wide < 0 { 0x80 } else { 0 };
    let magnitude = wide.abs();
    let magnitude = (if magnitude > 32_635 { 32_635 } else { magnitude }) + BIAS;
    // The highest bit set is 7 (the bias) to 14.
    let exponent = 24 - magnitude.leading_zeros() as i32;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !((sign | (exponent << 4) | mantissa) as u8)
}

const fn decode_alaw(byte: u8) -> i16 {
    let a = (byte ^ 0x55) as i32;
    let step = (a & 0x0f) << 4;
    let magnitude = match (a & 0x70) >> 4 {
        0 => step + 8,
        segment => (step + 0x108) << (segment - 1),
    };
    (if a & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

const fn encode_alaw(sample: i16) -> u8 {
    let wide = (sample >> 3) as i32;
    let (mask, magnitude) = if wide >= 0 { (0xd5, wide) } else { (0x55, -wide - 1) };
    // Segment 0 and 1 share a step of 2; each further one doubles it.
    let segment = if magnitude < 0x20 { 0 } else { 27 - magnitude.leading_zeros() as i32 };
    let shift = if segment < 2 { 1 } else { segment };
    (((segment << 4) | ((magnitude >> shift) & 0x0f)) ^ mask) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_both_laws() {
        // ITU-T G.711 tables 1 and 2, scaled to 16 bits.
        for (byte, sample) in
            [(0xff, 0), (0x80, 32_124), (0x00, -32_124), (0xfe, 8), (0x7e, -8), (0xef, 132), (0x8f, 16_764)]
        {
            assert_eq!(G711::Pcmu.decode(byte), sample, "{byte:#x}");
        }
        for (byte, sample) in
            [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256), (0xd4, 24), (0xc5, 264), (0x80, 5_504)]
        {
            assert_eq!(G711::Pcma.decode(byte), sample, "{byte:#x}");
        }
        assert_eq!((G711::Pcmu.encode(0), G711::Pcma.encode(0)), (0xff, 0xd5));
    }

    #[test]
    fn every_byte_comes_back_as_itself() {
        for byte in 0..=255_u8 {
            // µ-law has two zeros; the negative one comes back as the positive.
            let want = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(G711::Pcmu.encode(G711::Pcmu.decode(byte)), want, "µ {byte:#x}");
            assert_eq!(G711::Pcma.encode(G711::Pcma.decode(byte)), byte, "A {byte:#x}");
        }
    }

    #[test]
    fn every_sample_is_near_itself_and_order_is_kept() {
        for law in [G711::Pcmu, G711::Pcma] {
            let mut last = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let got = law.decode(law.encode(sample));
                assert!(got >= last, "{law:?} {sample}");
                last = got;
                let off = (i32::from(got) - i32::from(sample)).abs();
                // Half a step: at most 1/32 of the value, and the smallest step.
                assert!(off <= i32::from(sample).abs() / 30 + 16, "{law:?} {sample} {got}");
            }
        }
    }
}
