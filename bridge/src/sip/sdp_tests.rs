use super::*;

const BARESIP: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 10020 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp:10021\r\na=sendrecv\r\na=label:1\r\na=ptime:20\r\n\
    m=video 10022 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

fn local() -> Local {
    Local { ip: [198, 51, 100, 2].into(), rtp: 40_000, rtcp: 40_001, id: 7, version: 1 }
}

#[test]
fn the_first_g711_of_the_phones_order_is_taken_and_video_refused() {
    let offer = Offer::parse(BARESIP.as_bytes()).unwrap();
    let chosen = offer.choose(None).unwrap();
    assert_eq!((chosen.codec, chosen.payload_type, chosen.telephone_event), (G711::Pcma, 8, Some(101)));
    assert_eq!(chosen.remote, "192.0.2.1:10020".parse().unwrap());
    assert_eq!(chosen.remote_rtcp, "192.0.2.1:10021".parse().unwrap());
    assert_eq!(
        answer(&offer, &chosen, &local()),
        "v=0\r\no=- 7 1 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
         a=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\na=rtcp:40001\r\nm=video 0 RTP/AVP 96\r\n"
    );
}

#[test]
fn a_running_session_keeps_its_codec_or_fails() {
    let offer = Offer::parse(BARESIP.as_bytes()).unwrap();
    assert_eq!(offer.choose(Some(G711::Pcmu)).unwrap().payload_type, 0);
    let only = Offer::parse(BARESIP.replace("9 8 0 101", "8").as_bytes()).unwrap();
    assert_eq!(only.choose(Some(G711::Pcmu)), Err(SdpError::NothingInCommon("neither PCMU nor PCMA")));
}

#[test]
fn what_is_not_in_common_is_said() {
    let with =
        |media: &str| format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
    for (media, why) in [
        ("", "no audio line"),
        ("m=video 4 RTP/AVP 96\r\n", "no audio line"),
        ("m=audio 0 RTP/AVP 0\r\n", "audio is refused"),
        ("m=audio 4 RTP/SAVP 0\r\n", "audio is not over plain RTP"),
        ("m=audio 4 RTP/AVP 9 18\r\n", "neither PCMU nor PCMA"),
        ("m=audio 4 RTP/AVP 0\r\na=rtpmap:0 SPEEX/8000\r\n", "neither PCMU nor PCMA"),
        ("m=audio 4 RTP/AVP 0\r\nc=IN IP4 phone.example.org\r\n", ""),
    ] {
        let got = Offer::parse(with(media).as_bytes()).unwrap().choose(None);
        if why.is_empty() {
            // The session's address stands in for one that cannot be used.
            assert!(got.is_ok());
        } else {
            assert_eq!(got, Err(SdpError::NothingInCommon(why)), "{media}");
        }
    }
}

#[test]
fn a_plain_line_after_a_secured_one_is_taken_and_both_are_answered() {
    let sdp = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 10 RTP/SAVP 0\r\na=crypto:1 x\r\nm=audio 12 RTP/AVP 0\r\na=rtcp-mux\r\na=mid:b\r\n";
    let offer = Offer::parse(sdp.as_bytes()).unwrap();
    let chosen = offer.choose(None).unwrap();
    assert_eq!((chosen.line, chosen.rtcp_mux, chosen.remote_rtcp.port()), (1, true, 12));
    let text = answer(&offer, &chosen, &local());
    assert!(text.contains("m=audio 0 RTP/SAVP 0\r\nm=audio 40000 RTP/AVP 0\r\na=mid:b\r\n"), "{text}");
    assert!(text.ends_with("a=rtcp-mux\r\n"));
}

#[test]
fn hold_is_answered_by_its_mirror() {
    for (line, ours) in [("a=sendonly", "a=recvonly"), ("a=recvonly", "a=sendonly"), ("a=inactive", "a=inactive")] {
        let offer = Offer::parse(BARESIP.replace("a=sendrecv", line).as_bytes()).unwrap();
        let chosen = offer.choose(None).unwrap();
        assert!(answer(&offer, &chosen, &local()).contains(ours));
    }
    let old = Offer::parse(BARESIP.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0").as_bytes()).unwrap();
    assert_eq!(old.choose(None).unwrap().direction, Direction::Inactive);
}

#[test]
fn our_own_offer_is_one_that_we_would_take() {
    let text = offer(&local());
    let chosen = Offer::parse(text.as_bytes()).unwrap().choose(None).unwrap();
    assert_eq!((chosen.codec, chosen.telephone_event), (G711::Pcma, Some(101)));
    assert_eq!(chosen.remote, "198.51.100.2:40000".parse().unwrap());
}

#[test]
fn six_is_spoken_too() {
    let sdp = "v=0\r\nc=IN IP6 2001:db8::1\r\nm=audio 10 RTP/AVP 0\r\n";
    assert_eq!(Offer::parse(sdp.as_bytes()).unwrap().choose(None).unwrap().remote, "[2001:db8::1]:10".parse().unwrap());
    let ours = Local { ip: "2001:db8::2".parse().unwrap(), ..local() };
    assert!(offer(&ours).contains("c=IN IP6 2001:db8::2"));
}

#[test]
fn garbage_is_an_error_with_its_place() {
    assert_eq!(Offer::parse(b"hello"), Err(SdpError::NotSdp("does not begin with v=0")));
    assert_eq!(Offer::parse(b"\xff"), Err(SdpError::NotSdp("not UTF-8")));
    assert_eq!(Offer::parse(&vec![b'v'; 20_000]), Err(SdpError::NotSdp("longer than 16 KiB")));
    assert_eq!(Offer::parse(b"v=0\r\nnonsense\r\n"), Err(SdpError::Line { line: 2 }));
    assert_eq!(Offer::parse(b"v=0\r\nm=audio x RTP/AVP 0\r\n"), Err(SdpError::Line { line: 2 }));
    let many = format!("v=0\r\n{}", "m=audio 4 RTP/AVP 0\r\n".repeat(17));
    assert_eq!(Offer::parse(many.as_bytes()), Err(SdpError::TooManyMedia));
}

proptest::proptest! {
    #[test]
    fn no_lines_panic_and_an_answer_is_always_readable(lines in proptest::collection::vec((0_usize..14, proptest::num::u16::ANY), 0..12)) {
        let mut text = String::from("v=0\r\n");
        for (kind, n) in lines {
            let line = match kind {
                0 => format!("m=audio {n} RTP/AVP 0 8 {}", n % 140),
                1 => format!("m=audio {n} RTP/AVPF {}", n % 20),
                2 => format!("m=video {n} RTP/AVP 96"),
                3 => format!("c=IN IP4 192.0.{}.{}", n >> 8, n & 0xff),
                4 => format!("c=IN IP6 2001:db8::{n:x}"),
                5 => format!("a=rtpmap:{} PCMA/8000", n % 140),
                6 => format!("a=rtpmap:{} telephone-event/8000", n % 140),
                7 => format!("a=rtcp:{n} IN IP4 192.0.2.9"),
                8 => "a=rtcp-mux".to_owned(),
                9 => "a=sendonly".to_owned(),
                10 => format!("a=mid:{n}"),
                11 => "a=".to_owned(),
                12 => format!("{}=", (b'a' + (n % 26) as u8) as char),
                _ => format!("m=audio {n}"),
            };
            text.push_str(&line);
            text.push_str("\r\n");
        }
        crate::sip::fuzz::fuzz_sdp(text.as_bytes());
    }

    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        crate::sip::fuzz::fuzz_sdp(&data);
        crate::sip::fuzz::fuzz_message(&data);
        let with_head = [b"v=0\r\n".as_slice(), &data].concat();
        crate::sip::fuzz::fuzz_sdp(&with_head);
    }
}
