//! Answers without a transaction, for what the stack cannot read or what is not worth its memory. RFC 3261 8.2.7.

/// An answer to `request` with `status`, or `None` where it has too little to be answered (or is itself an answer, or an
/// ACK). `via_source`: where it came from, written into the topmost Via (RFC 3581).
pub(super) fn answer(
    request: &[u8],
    source: std::net::SocketAddr,
    status: u16,
    reason: &str,
    more: &[&str],
) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(request).ok()?;
    let head = text.split("\r\n\r\n").next()?;
    let mut lines = head.split("\r\n");
    let (method, rest) = lines.next()?.split_once(' ')?;
    let (_, version) = rest.rsplit_once(' ')?;
    let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
    if version != "SIP/2.0" || method.is_empty() || !method.chars().all(token) || method == "ACK" {
        return None;
    }
    let mut out = format!("SIP/2.0 {status} {reason}\r\n");
    let (mut vias, mut seen) = (0, [false; 4]);
    for line in lines.take(64) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "via" | "v" => {
                if vias == 0 {
                    out.push_str(&format!("Via: {}\r\n", with_source(value, source)));
                } else {
                    out.push_str(&format!("Via: {value}\r\n"));
                }
                vias += 1;
            }
            "from" | "f" if !seen[0] => {
                seen[0] = true;
                out.push_str(&format!("From: {value}\r\n"));
            }
            "to" | "t" if !seen[1] => {
                seen[1] = true;
                // Any tag will do: nothing can be built on this answer.
                let tag = if value.contains("tag=") { "" } else { ";tag=none" };
                out.push_str(&format!("To: {value}{tag}\r\n"));
            }
            "call-id" | "i" if !seen[2] => {
                seen[2] = true;
                out.push_str(&format!("Call-ID: {value}\r\n"));
            }
            "cseq" if !seen[3] => {
                seen[3] = true;
                out.push_str(&format!("CSeq: {value}\r\n"));
            }
            _ => {}
        }
    }
    if vias == 0 || seen != [true; 4] {
        return None;
    }
    for line in more {
        out.push_str(line);
        out.push_str("\r\n");
    }
    out.push_str("Content-Length: 0\r\n\r\n");
    // Not more than was asked with: no amplifier for forged sources. What is added is 200 bytes at most.
    (out.len() <= request.len() + 200).then(|| out.into_bytes())
}

fn with_source(via: &str, source: std::net::SocketAddr) -> String {
    let (first, others) = via.split_once(',').map_or((via, None), |(a, b)| (a, Some(b)));
    let kept: Vec<&str> = first
        .split(';')
        .map(str::trim)
        .filter(|p| {
            let name = p.split('=').next().unwrap_or("").to_ascii_lowercase();
            name != "rport" && name != "received"
        })
        .collect();
    let ip = source.ip();
    let mut out = format!("{};received={ip};rport={}", kept.join(";"), source.port());
    if let Some(others) = others {
        out.push(',');
        out.push_str(others);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: &str = "FOO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport\r\nFrom: <sip:x@y>;tag=1\r\n\
                       To: <sip:a@b>\r\nCall-ID: 7\r\nCSeq: 3 FOO\r\nMax-Forwards: 70\r\n\r\n";

    #[test]
    fn an_unknown_method_is_answered_to_where_it_came_from() {
        let source = "192.0.2.7:5071".parse().unwrap();
        let got = String::from_utf8(answer(ASK.as_bytes(), source, 501, "Not Implemented", &[]).unwrap()).unwrap();
        assert_eq!(
            got,
            "SIP/2.0 501 Not Implemented\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=192.0.2.7;rport=5071\r\n\
             From: <sip:x@y>;tag=1\r\nTo: <sip:a@b>;tag=none\r\nCall-ID: 7\r\nCSeq: 3 FOO\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn answers_acks_and_fragments_are_not_answered() {
        let source = "192.0.2.7:5071".parse().unwrap();
        for bad in [
            "SIP/2.0 200 OK\r\n\r\n",
            "ACK sip:a@b SIP/2.0\r\n\r\n",
            "",
            "FOO",
            "FOO sip:a@b SIP/2.0\r\nVia: x\r\n\r\n",
        ] {
            assert_eq!(answer(bad.as_bytes(), source, 400, "Bad Request", &[]), None, "{bad}");
        }
        for len in 0..ASK.len() - 40 {
            let _ = answer(&ASK.as_bytes()[..len], source, 400, "Bad Request", &[]);
        }
        let ack = ASK.replace("FOO", "ACK");
        assert_eq!(answer(ack.as_bytes(), source, 400, "Bad Request", &[]), None);
    }
}
