//! RTP packets on the wire, RFC 3550 5.1.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// One received packet; the payload borrows from the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// First of a talk spurt (audio) or of a key press (RFC 4733).
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// As on the wire; see [`super::WideSequence`].
    pub sequence: u16,
    /// As on the wire; see [`super::WideTimestamp`].
    pub timestamp: u32,
    /// The sender's stream.
    pub ssrc: u32,
    /// Without header extension and padding.
    pub payload: &'a [u8],
}

/// Why a datagram is no RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PacketError {
    /// Shorter than what its header promises.
    #[error("packet of {len} bytes ends inside its {part}")]
    Short {
        /// Bytes received.
        len: usize,
        /// Where it ends.
        part: &'static str,
    },
    /// Another version than 2: STUN, ZRTP, noise.
    #[error("version {0} is not RTP")]
    Version(u8),
    /// The padding count is zero or longer than the payload.
    #[error("padding of {0} bytes does not fit")]
    Padding(u8),
}

impl<'a> RtpPacket<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// [`PacketError`]: drop it.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let short = |part| PacketError::Short { len: datagram.len(), part };
        let (&[first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3], rest) =
            datagram.split_first_chunk::<12>().ok_or_else(|| short("header"))?;
        if first >> 6 != 2 {
            return Err(PacketError::Version(first >> 6));
        }
        let mut rest = rest.get(usize::from(first & 0x0f) * 4..).ok_or_else(|| short("sources"))?;
        if first & 0x10 != 0 {
            let (&[_, _, l0, l1], after) = rest.split_first_chunk::<4>().ok_or_else(|| short("extension"))?;
            rest = after.get(usize::from(u16::from_be_bytes([l0, l1])) * 4..).ok_or_else(|| short("extension"))?;
        }
        if first & 0x20 != 0 {
            let count = rest.last().copied().ok_or_else(|| short("padding"))?;
            let len =
                rest.len().checked_sub(usize::from(count)).filter(|_| count > 0).ok_or(PacketError::Padding(count))?;
            rest = &rest[..len];
        }
        Ok(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload: rest,
        })
    }

    /// The datagram: no sources, extension or padding.
    #[must_use]
    pub fn build(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(12 + self.payload.len());
        out.put_u8(0x80);
        out.put_u8(u8::from(self.marker) << 7 | (self.payload_type & 0x7f));
        out.put_u16(self.sequence);
        out.put_u32(self.timestamp);
        out.put_u32(self.ssrc);
        out.put_slice(self.payload);
        out.freeze()
    }
}

/// RTCP on the RTP port (RFC 5761 4): packet types 192 to 223 sit where RTP has marker and payload type.
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, kind, ..] if first >> 6 == 2 && (192..=223).contains(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let p = RtpPacket {
            marker: true,
            payload_type: 101,
            sequence: 65_535,
            timestamp: 7,
            ssrc: 0xdead_beef,
            payload: b"abc",
        };
        assert_eq!(RtpPacket::parse(&p.build()), Ok(p));
    }

    #[test]
    fn sources_extension_and_padding_are_stripped() {
        let mut raw = vec![0xb1, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        raw.extend([9, 9, 9, 9]); // one source
        raw.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // one word of extension
        raw.extend([5, 6, 7, 0, 0, 3]); // payload, three of padding
        assert_eq!(RtpPacket::parse(&raw).map(|p| p.payload.to_vec()), Ok(vec![5, 6, 7]));
        for len in 0..raw.len() {
            // Every shorter one is refused or at least smaller; none panics.
            if let Ok(p) = RtpPacket::parse(&raw[..len]) {
                assert!(p.payload.len() < len);
            }
        }
    }

    #[test]
    fn each_kind_of_garbage_has_its_error() {
        assert_eq!(RtpPacket::parse(&[0x80; 11]), Err(PacketError::Short { len: 11, part: "header" }));
        assert_eq!(RtpPacket::parse(&[0x00; 20]), Err(PacketError::Version(0)));
        let mut p = [0_u8; 16];
        p[0] = 0xa0;
        assert_eq!(RtpPacket::parse(&p), Err(PacketError::Padding(0)));
        p[15] = 5;
        assert_eq!(RtpPacket::parse(&p), Err(PacketError::Padding(5)));
        p[0] = 0x8f;
        assert_eq!(RtpPacket::parse(&p), Err(PacketError::Short { len: 16, part: "sources" }));
        p[0] = 0x90;
        p[14..16].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(RtpPacket::parse(&p), Err(PacketError::Short { len: 16, part: "extension" }));
    }
}
