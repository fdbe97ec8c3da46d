//! RTCP: sender and receiver reports, source description, goodbye. RFC 3550 6.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// One packet of a compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rtcp {
    /// SR, 200.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// When and how much was sent.
        sent: SenderInfo,
        /// What was received from others.
        blocks: Vec<ReportBlock>,
    },
    /// RR, 201.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What was received from others.
        blocks: Vec<ReportBlock>,
    },
    /// SDES, 202: the canonical names in it.
    Description {
        /// Stream and CNAME.
        names: Vec<(u32, String)>,
    },
    /// BYE, 203.
    Goodbye {
        /// Streams that end.
        ssrcs: Vec<u32>,
    },
    /// Any other type (APP, feedback, extended reports): passed over.
    Other(u8),
}

/// The sender's half of a sender report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// NTP time, 32.32 fixed point seconds.
    pub ntp: u64,
    /// The same moment in RTP time.
    pub rtp: u32,
    /// Packets since the start.
    pub packets: u32,
    /// Payload bytes since the start.
    pub octets: u32,
}

/// How one stream is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the start; 24 bits signed (doubles count against it).
    pub lost: i32,
    /// Highest sequence number, wraps in the upper half.
    pub highest: u32,
    /// Interarrival jitter in RTP time units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0: none came.
    pub last_report: u32,
    /// Since that report, in 1/65536 s.
    pub delay: u32,
}

/// Why a datagram is no RTCP compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RtcpError {
    /// A packet ends before what its length or count promises.
    #[error("compound of {0} bytes ends inside a packet")]
    Short(usize),
    /// Another version than 2.
    #[error("version {0} is not RTCP")]
    Version(u8),
    /// Packet types outside 192 to 223.
    #[error("packet type {0} is not RTCP")]
    Kind(u8),
    /// More packets than any sender has a use for.
    #[error("more than {MAX_PACKETS} packets in a compound")]
    Many,
}

const MAX_PACKETS: usize = 32;

/// Reads a compound (or a single packet, RFC 5506).
///
/// # Errors
/// [`RtcpError`]: nothing of it is used.
pub fn parse(datagram: &[u8]) -> Result<Vec<Rtcp>, RtcpError> {
    let short = RtcpError::Short(datagram.len());
    let mut rest = datagram;
    let mut out = Vec::new();
    if rest.is_empty() {
        return Err(short);
    }
    while !rest.is_empty() {
        if out.len() >= MAX_PACKETS {
            return Err(RtcpError::Many);
        }
        let (&[first, kind, l0, l1], after) = rest.split_first_chunk::<4>().ok_or(short)?;
        if first >> 6 != 2 {
            return Err(RtcpError::Version(first >> 6));
        }
        if !(192..=223).contains(&kind) {
            return Err(RtcpError::Kind(kind));
        }
        let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        let body = after.get(..len).ok_or(short)?;
        rest = &after[len..];
        let body = if first & 0x20 == 0 {
            body
        } else {
            let pad = usize::from(*body.last().ok_or(short)?);
            body.get(..body.len().checked_sub(pad).ok_or(short)?).ok_or(short)?
        };
        out.push(packet(kind, usize::from(first & 0x1f), body).ok_or(short)?);
    }
    Ok(out)
}

fn packet(kind: u8, count: usize, body: &[u8]) -> Option<Rtcp> {
    Some(match kind {
        200 => {
            let (head, rest) = body.split_first_chunk::<24>()?;
            Rtcp::SenderReport {
                ssrc: word(head, 0)?,
                sent: SenderInfo {
                    ntp: u64::from(word(head, 1)?) << 32 | u64::from(word(head, 2)?),
                    rtp: word(head, 3)?,
                    packets: word(head, 4)?,
                    octets: word(head, 5)?,
                },
                blocks: blocks(rest, count)?,
            }
        }
        201 => {
            let (head, rest) = body.split_first_chunk::<4>()?;
            Rtcp::ReceiverReport { ssrc: word(head, 0)?, blocks: blocks(rest, count)? }
        }
        202 => Rtcp::Description { names: names(body, count)? },
        203 => Rtcp::Goodbye { ssrcs: (0..count).map(|n| word(body, n)).collect::<Option<_>>()? },
        other => Rtcp::Other(other),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at * 4..at * 4 + 4)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

fn blocks(bytes: &[u8], count: usize) -> Option<Vec<ReportBlock>> {
    (0..count)
        .map(|n| {
            let b = bytes.get(n * 24..n * 24 + 24)?;
            let loss = word(b, 1)?;
            Some(ReportBlock {
                ssrc: word(b, 0)?,
                fraction_lost: (loss >> 24) as u8,
                // Sign of the 24 bits.
                lost: ((loss << 8) as i32) >> 8,
                highest: word(b, 2)?,
                jitter: word(b, 3)?,
                last_report: word(b, 4)?,
                delay: word(b, 5)?,
            })
        })
        .collect()
}

fn names(mut bytes: &[u8], count: usize) -> Option<Vec<(u32, String)>> {
    let mut out = Vec::new();
    for _ in 0..count {
        let ssrc = word(bytes, 0)?;
        let mut at = 4;
        loop {
            let kind = *bytes.get(at)?;
            if kind == 0 {
                break;
            }
            let len = usize::from(*bytes.get(at + 1)?);
            let text = bytes.get(at + 2..at + 2 + len)?;
            if kind == 1 {
                out.push((ssrc, String::from_utf8_lossy(text).into_owned()));
            }
            at += 2 + len;
        }
        // The end mark, then up to the next word.
        bytes = bytes.get((at + 4) & !3..)?;
    }
    Some(out)
}

/// A compound as RFC 3550 6.1 asks: a report first (SR where something was `sent`, else RR), then the CNAME, then BYE.
#[must_use]
pub fn build(ssrc: u32, sent: Option<SenderInfo>, blocks: &[ReportBlock], cname: &str, goodbye: bool) -> Bytes {
    let blocks = &blocks[..blocks.len().min(31)];
    let mut out = BytesMut::with_capacity(128);
    let words = 1 + blocks.len() * 6 + if sent.is_some() { 5 } else { 0 };
    header(&mut out, blocks.len(), if sent.is_some() { 200 } else { 201 }, words);
    out.put_u32(ssrc);
    if let Some(s) = sent {
        out.put_u64(s.ntp);
        out.put_u32(s.rtp);
        out.put_u32(s.packets);
        out.put_u32(s.octets);
    }
    for b in blocks {
        out.put_u32(b.ssrc);
        out.put_u32(u32::from(b.fraction_lost) << 24 | (b.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff));
        out.put_u32(b.highest);
        out.put_u32(b.jitter);
        out.put_u32(b.last_report);
        out.put_u32(b.delay);
    }
    let mut end = cname.len().min(255);
    while !cname.is_char_boundary(end) {
        end -= 1;
    }
    let name = &cname.as_bytes()[..end];
    // SSRC, item head, text, at least one zero, to a whole word.
    let len = (4 + 2 + name.len() + 1).div_ceil(4);
    header(&mut out, 1, 202, len);
    out.put_u32(ssrc);
    out.put_u8(1);
    out.put_u8(name.len() as u8);
    out.put_slice(name);
    out.put_bytes(0, len * 4 - 6 - name.len());
    if goodbye {
        header(&mut out, 1, 203, 1);
        out.put_u32(ssrc);
    }
    out.freeze()
}

fn header(out: &mut BytesMut, count: usize, kind: u8, words: usize) {
    out.put_u8(0x80 | count as u8);
    out.put_u8(kind);
    out.put_u16(words as u16);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> ReportBlock {
        ReportBlock { ssrc: 9, fraction_lost: 25, lost: -3, highest: 70_000, jitter: 44, last_report: 5, delay: 6 }
    }

    #[test]
    fn reports_are_read_back_as_built() {
        let sent = SenderInfo { ntp: 0x0102_0304_0506_0708, rtp: 11, packets: 12, octets: 13 };
        let names = Rtcp::Description { names: vec![(7, "a@b".into())] };
        assert_eq!(
            parse(&build(7, Some(sent), &[block()], "a@b", true)),
            Ok(vec![
                Rtcp::SenderReport { ssrc: 7, sent, blocks: vec![block()] },
                names.clone(),
                Rtcp::Goodbye { ssrcs: vec![7] }
            ])
        );
        assert_eq!(
            parse(&build(7, None, &[], "a@b", false)),
            Ok(vec![Rtcp::ReceiverReport { ssrc: 7, blocks: vec![] }, names])
        );
    }

    #[test]
    fn names_of_every_length_fill_whole_words() {
        for len in 0..300 {
            let name = "x".repeat(len);
            let raw = build(1, None, &[], &name, true);
            assert_eq!(raw.len() % 4, 0);
            let got = parse(&raw).unwrap();
            assert_eq!(got[1], Rtcp::Description { names: vec![(1, name[..len.min(255)].to_owned())] });
        }
    }

    #[test]
    fn every_truncation_is_an_error_or_shorter() {
        let whole = build(7, Some(SenderInfo::default()), &[block(), block()], "name", true);
        let all = parse(&whole).unwrap().len();
        for len in 0..whole.len() {
            assert!(parse(&whole[..len]).map_or(0, |p| p.len()) < all, "{len}");
        }
        assert_eq!(parse(&[0x00; 8]), Err(RtcpError::Version(0)));
        assert_eq!(parse(&[0x80; 8]), Err(RtcpError::Kind(0x80)));
    }
}
